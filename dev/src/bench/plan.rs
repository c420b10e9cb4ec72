//! What one pass of the planner costs, by the number of brokers.

use anyhow::Context as _;

use super::Figure;
use crate::command::{command, run};
use crate::step;

const BROKERS: [u32; 4] = [3, 30, 300, 3000];

/// The most that a broker may cost among ten times as many, in time and in memory.
const LIMIT_GROWTH: f64 = 1.3;

/// The most that a pass over the largest cluster may take.
const LIMIT_MILLISECONDS: f64 = 150.0;

pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut each_broker = Vec::new();
    let mut least_memory = None;
    for brokers in BROKERS {
        let [pass, packing, memory] =
            step::run(&format!("plan for {brokers} brokers"), || plan(brokers))?;
        let each = pass / f64::from(brokers);
        let name = |what: &str| format!("plan_{brokers}_brokers{what}");
        let figure = Figure::new(&name(""), pass, "ms");
        let is_largest = Some(&brokers) == BROKERS.last();
        figures.push(if is_largest { figure.at_most(LIMIT_MILLISECONDS) } else { figure });
        figures.push(Figure::new(&name("_each"), each * 1e3, "us"));
        figures.push(Figure::new(&name("_packing"), packing, "ms"));
        figures.push(Figure::new(&name("_process"), memory, "MB"));
        // What the process has anyway is no cost of a broker.
        let anyway = *least_memory.get_or_insert(memory);
        each_broker.push((each, (memory - anyway) / f64::from(brokers)));
    }
    if let [.., (time, memory), (time_of_ten, memory_of_ten)] = each_broker[..] {
        let growth = |what: &str, before: f64, after: f64| {
            Figure::new(&format!("plan_growth_of_{what}"), after / before, "x")
                .at_most(LIMIT_GROWTH)
        };
        figures.push(growth("time", time, time_of_ten));
        figures.push(growth("memory", memory, memory_of_ten));
    }
    Ok(figures)
}

/// Milliseconds of a pass and of packing its partitions, and the process's memory in megabytes.
fn plan(brokers: u32) -> anyhow::Result<[f64; 3]> {
    let mut cargo = command("cargo", ["bench", "--quiet", "-p", "ottla-tests", "--bench", "plan"]);
    let said = run(cargo.arg("--").arg(brokers.to_string()))?;
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().ok().with_context(|| format!("the benchmark said `{}`", said.trim()))
}
