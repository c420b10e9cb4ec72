//! The objects of a cluster, by kind and name. Kinds are kept apart, so that finding one among
//! thousands costs little.

use std::collections::BTreeMap;

use super::Child;
use crate::object::Kind;

/// Objects by kind and name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Children(BTreeMap<Kind, BTreeMap<String, Child>>);

impl Children {
    /// One of them.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Child> {
        self.0.get(&kind)?.get(name)
    }

    /// One of them, to be changed.
    pub fn get_mut(&mut self, kind: Kind, name: &str) -> Option<&mut Child> {
        self.0.get_mut(&kind)?.get_mut(name)
    }

    /// Adds one, in the place of another of its kind and name.
    pub fn insert(&mut self, kind: Kind, name: String, child: Child) {
        self.0.entry(kind).or_default().insert(name, child);
    }

    /// Removes one.
    pub fn remove(&mut self, kind: Kind, name: &str) -> Option<Child> {
        self.0.get_mut(&kind)?.remove(name)
    }

    /// All of a kind, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&String, &Child)> {
        self.0.get(&kind).into_iter().flatten()
    }

    /// Kind and name of each.
    pub fn keys(&self) -> impl Iterator<Item = (Kind, &String)> {
        self.0.iter().flat_map(|(kind, of_kind)| of_kind.keys().map(move |name| (*kind, name)))
    }
}

impl Extend<(Kind, String, Child)> for Children {
    fn extend<T: IntoIterator<Item = (Kind, String, Child)>>(&mut self, others: T) {
        others.into_iter().for_each(|(kind, name, child)| self.insert(kind, name, child));
    }
}

impl FromIterator<(Kind, String, Child)> for Children {
    fn from_iter<T: IntoIterator<Item = (Kind, String, Child)>>(others: T) -> Children {
        let mut children = Children::default();
        children.extend(others);
        children
    }
}
