//! One JSON object a line. No key appears twice in it, whatever names a library or Roadstead gives its fields: a parser may
//! refuse such a line, or keep either value.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Keys that every line has or may have: a field of such a name is written as `field.NAME`.
pub const RESERVED: [&str; 5] = ["timestamp", "level", "message", "target", "span"];

/// Prefix of a field whose name is taken.
const PREFIX: &str = "field.";

/// Writes events as JSON lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonLines<T = SystemTime> {
    clock: T,
}

impl<S, N, T> FormatEvent<S, N> for JsonLines<T>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    T: FormatTime,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut timestamp = String::new();
        self.clock.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let mut line = LogLine::default();
        line.push("timestamp", timestamp.into());
        line.push("level", metadata.level().as_str().into());
        line.push("message", fields.message.unwrap_or_default().into());
        for (name, value) in fields.others {
            line.push_field(&name, value);
        }
        line.push("target", fields.log_target.unwrap_or_else(|| metadata.target().to_owned()).into());
        if let Some(span) = context.lookup_current() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().map(|fields| fields.as_str());
            line.push("span", span_value(span.name(), fields.unwrap_or_default()));
        }
        writeln!(writer, "{}", line.finish())
    }
}

/// A span as an object: its name, and its fields as they were formatted.
fn span_value(name: &str, fields: &str) -> Value {
    let mut object = Map::from_iter([("name".to_owned(), name.into())]);
    if let Ok(Value::Object(fields)) = serde_json::from_str(fields) {
        for (key, value) in fields {
            let key = if key == "name" { format!("{PREFIX}{key}") } else { key };
            object.insert(key, value);
        }
    }
    Value::Object(object)
}

/// The members of a line, in their order.
#[derive(Default)]
struct LogLine(Vec<(String, Value)>);

impl LogLine {
    fn push(&mut self, name: &str, value: Value) {
        self.0.push((name.to_owned(), value));
    }

    /// Adds a field under its name, or under a prefixed one where that is taken.
    fn push_field(&mut self, name: &str, value: Value) {
        let mut name = name.to_owned();
        while RESERVED.contains(&name.as_str()) || self.0.iter().any(|(taken, _)| *taken == name) {
            name.insert_str(0, PREFIX);
        }
        self.push(&name, value);
    }

    fn finish(self) -> String {
        let member = |(name, value)| format!("{}:{value}", Value::String(name));
        format!("{{{}}}", self.0.into_iter().map(member).collect::<Vec<_>>().join(","))
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: Option<String>,
    /// Target of a record that came through the crate `log`.
    log_target: Option<String>,
    others: Vec<(String, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            // The text of the macro comes first; a second one is a field of that name.
            ("message", Value::String(text)) if self.message.is_none() => self.message = Some(text),
            ("log.target", Value::String(target)) => self.log_target = Some(target),
            ("log.module_path" | "log.file" | "log.line", _) => {}
            (name, value) => self.others.push((name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Copy)]
    struct Noon;

    impl FormatTime for Noon {
        fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
            writer.write_str("12:00")
        }
    }

    /// Lines that `log` writes.
    fn lines(log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines { clock: Noon })
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_has_time_level_message_fields_target_and_span_in_this_order() {
        let line = lines(|| {
            let _span = tracing::info_span!("reconcile", object = "team/llama").entered();
            tracing::info!(target: "here", count = 3, ready = true, "two \"words\"");
        });
        assert_eq!(
            line,
            "{\"timestamp\":\"12:00\",\"level\":\"INFO\",\"message\":\"two \\\"words\\\"\",\"count\":3,\"ready\":true,\
             \"target\":\"here\",\"span\":{\"name\":\"reconcile\",\"object\":\"team/llama\"}}\n"
        );
    }

    #[test]
    fn a_field_with_the_name_of_another_key_is_written_under_another_name() {
        let line = lines(|| {
            let _span = tracing::info_span!("reconcile", name = "x").entered();
            tracing::info!(target: "here", message = "a", target = "b", level = "c", "text");
        });
        assert_eq!(
            line,
            "{\"timestamp\":\"12:00\",\"level\":\"INFO\",\"message\":\"text\",\"field.message\":\"a\",\
             \"field.target\":\"b\",\"field.level\":\"c\",\"target\":\"here\",\
             \"span\":{\"field.name\":\"x\",\"name\":\"reconcile\"}}\n"
        );
    }
}
