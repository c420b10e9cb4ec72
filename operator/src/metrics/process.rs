//! Memory, processor time and start time of this process, read from `/proc` at each scrape.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Clock ticks a second in `/proc/<pid>/stat`: the kernel reports them at 100 Hz to user space on
/// every architecture that we build for, whatever its own timer runs at.
const TICKS_PER_SECOND: f64 = 100.0;

/// Exports this process's own figures; a figure that cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(bytes) = read("/proc/self/status").as_deref().and_then(resident_bytes) {
            let gauge = ConstGauge::new(bytes);
            let help = "Memory of this process that is resident.";
            let name = "process_resident_memory";
            let unit = Some(&Unit::Bytes);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)?;
        }
        let Some(times) = read("/proc/self/stat").as_deref().and_then(Times::parse) else {
            return Ok(());
        };
        let cpu = ConstCounter::new(times.cpu_seconds);
        let help = "Processor time that this process has used.";
        let unit = Some(&Unit::Seconds);
        cpu.encode(encoder.encode_descriptor("process_cpu", help, unit, cpu.metric_type())?)?;
        let Some(boot) = read("/proc/stat").as_deref().and_then(boot_time) else {
            return Ok(());
        };
        let start = ConstGauge::new(boot + times.start_seconds_after_boot);
        let help = "When this process started, in Unix time.";
        start.encode(encoder.encode_descriptor(
            "process_start_time",
            help,
            unit,
            start.metric_type(),
        )?)
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[derive(Debug, PartialEq)]
struct Times {
    cpu_seconds: f64,
    start_seconds_after_boot: f64,
}

impl Times {
    /// Reads `/proc/<pid>/stat`. The program's name stands in parentheses and may itself hold
    /// spaces and parentheses, so fields are counted from the last closing one, which ends field 2.
    fn parse(stat: &str) -> Option<Self> {
        let (_, after_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let seconds = |number: usize| -> Option<f64> {
            Some(fields.get(number - 3)?.parse::<f64>().ok()? / TICKS_PER_SECOND)
        };
        Some(Self {
            cpu_seconds: seconds(14)? + seconds(15)?,
            start_seconds_after_boot: seconds(22)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn stat_is_read_past_an_odd_program_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 4 0 12345 1 2 3";
        let times = Times::parse(stat).unwrap();
        assert_eq!(times, Times { cpu_seconds: 3.0, start_seconds_after_boot: 123.45 });
        assert_eq!(Times::parse("7 (short) S 1"), None);
    }

    #[test]
    fn other_files_are_read() {
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\n"), None);
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
    }

    #[test]
    fn this_process_has_figures() {
        let text = Metrics::new().encode().unwrap();
        for name in [
            "ottla_process_resident_memory_bytes ",
            "ottla_process_cpu_seconds_total ",
            "ottla_process_start_time_seconds ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "no {name} in\n{text}");
        }
    }
}
