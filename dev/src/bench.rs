//! `cargo dev bench NAME`: figures as lines `name value unit limit`, and a failure when one falls
//! short.

mod killed;
mod plan;
mod ready;
mod rest;
mod roll;
mod size;
mod stage;

use std::io::Write as _;

use anyhow::bail;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Bench {
    /// One pass of the planner, for 3 to 3,000 brokers.
    Plan,
    /// From `kubectl apply` to Ready, beside a bare StatefulSet of the same Kafka.
    Ready,
    /// From the end of a broker's pod to the next one's readiness, beside a bare pod.
    Killed,
    /// What the operator writes, holds and uses while nothing changes.
    Rest,
    /// A restart of three brokers one after another, beside the same of bare pods.
    Roll,
    /// Images and binaries, unpacked.
    Size,
}

/// One measured value. `limit` is the most that it may be, if it has one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    limit: Option<f64>,
}

impl Figure {
    fn new(name: &str, value: f64, unit: &'static str) -> Figure {
        Figure { name: name.to_owned(), value, unit, limit: None }
    }

    fn at_most(mut self, limit: f64) -> Figure {
        self.limit = Some(limit);
        self
    }

    fn falls_short(&self) -> bool {
        self.limit.is_some_and(|limit| self.value > limit)
    }

    fn line(&self) -> String {
        let limit = self.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
        format!("{} {:.2} {} {limit}", self.name, self.value, self.unit)
    }
}

/// Measures, prints, and fails when a figure is above its limit.
pub(crate) fn bench(which: Bench) -> anyhow::Result<()> {
    let figures = match which {
        Bench::Plan => plan::measure()?,
        Bench::Ready => ready::measure()?,
        Bench::Killed => killed::measure()?,
        Bench::Rest => rest::measure()?,
        Bench::Roll => roll::measure()?,
        Bench::Size => size::measure()?,
    };
    let mut stdout = std::io::stdout().lock();
    for figure in &figures {
        writeln!(stdout, "{}", figure.line())?;
    }
    let short: Vec<&str> =
        figures.iter().filter(|f| f.falls_short()).map(|f| f.name.as_str()).collect();
    if !short.is_empty() {
        bail!("above the limit: {}", short.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_above_its_limit_falls_short() {
        let figure = Figure::new("ready_ratio", 1.81, "x").at_most(1.8);
        assert_eq!(figure.line(), "ready_ratio 1.81 x 1.8");
        assert!(figure.falls_short());
        assert!(!Figure::new("bare", 17.0, "s").falls_short());
    }
}
