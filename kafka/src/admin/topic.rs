//! Topics and their partitions, packed so that tens of thousands of partitions stay small.

mod description;
mod wire;

pub use description::{Partition, Topic};
pub(crate) use wire::{metadata_request, metadata_topics};

use crate::call::{call, refused};
use crate::cluster::{Asked, Target};
use crate::{Cluster, Error};
use wire::Cursor;

call!(DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse,
    DescribeTopicPartitions from 0, repeatable: true, |_| None);
call!(MetadataRequest => MetadataResponse, Metadata from 9, repeatable: true,
    |answer| refused(answer.error_code, None));

/// How many partitions a page holds: Kafka's own limit, so that the fewest pages are needed.
const PAGE_PARTITIONS: i32 = 2000;

/// The topics of a cluster, a page at a time, so that a reader who only counts need not hold them
/// all. A topic may go on in the next page.
pub struct TopicPages<'a> {
    cluster: &'a Cluster,
    names: Vec<String>,
    partitions_max: i32,
    next: Next,
}

/// What is still to be asked for.
enum Next {
    Page(Option<Cursor>),
    Nothing,
}

impl TopicPages<'_> {
    /// The same with at most so many partitions in a page. Kafka has a limit of its own, 2000
    /// where nobody changed `max.request.partition.size.limit`.
    #[must_use]
    pub fn of_at_most(self, partitions_max: i32) -> Self {
        Self { partitions_max, ..self }
    }

    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// When no node answers in time, or a topic may not be seen.
    pub async fn next(&mut self) -> Result<Option<Vec<Topic>>, Error> {
        let Next::Page(cursor) = &self.next else { return Ok(None) };
        let request = wire::partitions_request(&self.names, self.partitions_max, cursor.as_ref());
        let (topics, next) = match self.cluster.ask(Target::Any, |_| request.clone()).await {
            Ok(answer) => wire::partitions_page(answer)?,
            // Before Kafka 3.8 there is one answer with everything, and no ELR in it.
            Err(Error::Unsupported { .. }) => (self.all_at_once().await?, None),
            Err(error) => return Err(error),
        };
        self.next = match next {
            Some(cursor) => Next::Page(Some(cursor)),
            None => Next::Nothing,
        };
        Ok(Some(topics))
    }

    async fn all_at_once(&self) -> Result<Vec<Topic>, Error> {
        let build = |asked: &Asked| metadata_request(&self.names, asked.version);
        metadata_topics(self.cluster.ask(Target::Any, build).await?)
    }
}

impl Cluster {
    /// All topics, internal ones too, by name.
    ///
    /// # Errors
    /// When no node answers in time.
    pub async fn topics(&self) -> Result<Vec<Topic>, Error> {
        self.describe_topics(&[]).await
    }

    /// The topics of these names, by name; those that do not exist are left out. No names at all
    /// mean all topics.
    ///
    /// # Errors
    /// When no node answers in time, or a topic may not be seen.
    pub async fn describe_topics(&self, names: &[String]) -> Result<Vec<Topic>, Error> {
        let mut topics: Vec<Topic> = Vec::new();
        let mut pages = self.topic_pages(names);
        while let Some(page) = pages.next().await? {
            for topic in page {
                match topics.last_mut() {
                    Some(last) if last.name == topic.name => last.append(&topic),
                    _ => topics.push(topic),
                }
            }
        }
        topics.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(topics)
    }

    /// The same as [`Cluster::describe_topics`], a page at a time.
    #[must_use]
    pub fn topic_pages(&self, names: &[String]) -> TopicPages<'_> {
        TopicPages {
            cluster: self,
            names: names.to_vec(),
            partitions_max: PAGE_PARTITIONS,
            next: Next::Page(None),
        }
    }
}
