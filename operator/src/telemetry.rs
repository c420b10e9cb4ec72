//! Logs: how they are written, what a logged error says, and that a panic is logged too.

use std::error::Error;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise.
///
/// kube's request layer logs every failed request as an error of its own. The caller gets the same
/// failure, knows what it was for and logs it once, so the layer's line is left out. kube's
/// controller puts every line of a pass into a span that names the object; our lines name it
/// themselves, and shorter.
const DEFAULT_FILTER: &str = "info,kube_client::client::builder=off,kube_runtime::controller=warn";

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for log collectors.
    Json,
    /// Plain lines, for people.
    Text,
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is set and cannot be parsed.
    #[error("RUST_LOG is not a valid filter, write it as in RUST_LOG=info,ottla_operator=debug")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// `RUST_LOG` is set and is not text.
    #[error("RUST_LOG is not valid Unicode")]
    NotUnicode,
    /// Something has started logging in this process before.
    #[error("logging was started twice in one process")]
    StartedTwice(#[source] Box<dyn Error + Send + Sync>),
}

/// Starts logging to standard output, and logs panics from now on.
///
/// # Errors
/// When `RUST_LOG` is malformed, or logging was started before.
pub fn start(format: LogFormat) -> Result<(), TelemetryError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(std::env::var("RUST_LOG"))?)
        .with_ansi(std::io::stdout().is_terminal());
    match format {
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
        LogFormat::Text => builder.try_init(),
    }
    .map_err(TelemetryError::StartedTwice)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn filter(variable: Result<String, std::env::VarError>) -> Result<EnvFilter, TelemetryError> {
    let directives = match &variable {
        Ok(text) if !text.trim().is_empty() => text.as_str(),
        Ok(_) | Err(std::env::VarError::NotPresent) => DEFAULT_FILTER,
        Err(std::env::VarError::NotUnicode(_)) => return Err(TelemetryError::NotUnicode),
    };
    EnvFilter::builder().parse(directives).map_err(TelemetryError::Filter)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(%location, %backtrace, "panicked: {}", panic_message(panic.payload()));
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return text;
    }
    payload.downcast_ref::<String>().map_or("no message", String::as_str)
}

/// An error and its causes in one line, outermost first.
///
/// Our own errors say only their own part. Errors of libraries often repeat their cause's text
/// within their own; a cause whose text was already said is left out.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let refusal = refusal(error);
        next = if refusal.is_some() { None } else { error.source() };
        let text = refusal.unwrap_or_else(|| error.to_string());
        if !line.contains(&text) {
            let separator = if line.is_empty() { "" } else { ": " };
            line.push_str(separator);
            line.push_str(&text);
        }
    }
    line
}

/// What the API server answered, in its own sentence; kube would print the whole structure.
fn refusal(error: &(dyn Error + 'static)) -> Option<String> {
    match error.downcast_ref::<kube::Error>()? {
        kube::Error::Api(status) => {
            Some(format!("{} ({} {})", status.message, status.code, status.reason))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn chain(texts: &[&'static str]) -> Link {
        let source = (texts.len() > 1).then(|| Box::new(chain(&texts[1..])));
        Link { text: texts[0], source }
    }

    #[test]
    fn every_cause_is_printed_once() {
        let plain = chain(&["could not write the Secret", "request failed", "connection refused"]);
        assert_eq!(
            error_chain(&plain),
            "could not write the Secret: request failed: connection refused"
        );
        let repeating = chain(&["could not read", "ServiceError: timed out", "timed out"]);
        assert_eq!(error_chain(&repeating), "could not read: ServiceError: timed out");
        assert_eq!(error_chain(&chain(&["alone"])), "alone");
    }

    #[test]
    fn a_refusal_by_the_api_server_is_its_own_sentence() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not write the Secret orders-ca")]
        struct Outer(#[source] kube::Error);

        let message = "secrets \"orders-ca\" already exists";
        let status = kube::core::Status::failure(message, "AlreadyExists").with_code(409);
        assert_eq!(
            error_chain(&Outer(kube::Error::Api(Box::new(status)))),
            "could not write the Secret orders-ca: secrets \"orders-ca\" already exists \
             (409 AlreadyExists)"
        );
    }

    #[test]
    fn an_absent_or_empty_filter_means_the_default() {
        let default = filter(Err(std::env::VarError::NotPresent)).unwrap().to_string();
        assert!(default.contains("info"), "{default}");
        assert_eq!(filter(Ok(" ".into())).unwrap().to_string(), default);
        assert_eq!(filter(Ok("warn".into())).unwrap().to_string(), "warn");
    }

    #[test]
    fn a_malformed_filter_is_refused() {
        let error = filter(Ok("info,=,nonsense=loud".into())).unwrap_err();
        assert!(error_chain(&error).starts_with("RUST_LOG is not a valid filter"));
    }

    #[test]
    fn panic_messages_are_read_in_both_forms() {
        assert_eq!(panic_message(&"literal"), "literal");
        assert_eq!(panic_message(&String::from("formatted")), "formatted");
        assert_eq!(panic_message(&7), "no message");
    }
}
