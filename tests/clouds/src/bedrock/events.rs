//! Event streams in AWS's binary encoding ([`super::rules::EVENT_STREAM`]), made of an engine's server-sent events.
//!
//! A message is its length, the length of its headers, a check sum of both, headers, payload, and a check sum of everything.

use std::io;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use data_encoding::BASE64;
use flate2::Crc;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

/// Bytes of a message beside its headers and payload.
const FRAME: usize = 16;
/// Type of a header whose value is a text.
const TEXT: u8 = 7;

/// The stream of an engine as one of events: `of_part` makes messages of the data of each `data:` line.
pub fn of_sse(body: Body, of_part: fn(&[u8]) -> Vec<Bytes>) -> Body {
    let state = (body.into_data_stream(), BytesMut::new());
    let messages = stream::unfold(state, move |(mut parts, mut rest)| async move {
        loop {
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest.split_to(end + 1);
                let messages = data_of(&line).map(of_part).unwrap_or_default();
                if !messages.is_empty() {
                    return Some((Ok(Bytes::from(messages.concat())), (parts, rest)));
                }
                continue;
            }
            match parts.next().await? {
                Ok(part) => rest.extend_from_slice(&part),
                Err(error) => return Some((Err(io::Error::other(error)), (parts, BytesMut::new()))),
            }
        }
    });
    Body::from_stream(messages)
}

/// The data of one line of server-sent events; `None` where it has no part of the answer.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let data = line.trim_ascii().strip_prefix(b"data:")?.trim_ascii();
    (data != b"[DONE]").then_some(data)
}

/// The event that hands over a part of the answer of an imported model (`rules::STREAM_PARTS`).
#[must_use]
pub fn chunk(part: &[u8]) -> Bytes {
    event("chunk", &json!({"bytes": BASE64.encode(part)}))
}

/// An event of this name.
#[must_use]
pub fn event(name: &str, content: &Value) -> Bytes {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    message(&headers, content.to_string().as_bytes())
}

/// The end of a stream by an exception of this type (`rules::STREAM_EXCEPTION`).
#[must_use]
pub fn exception(kind: &str, text: &str) -> Bytes {
    let headers = [(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")];
    message(&headers, json!({"message": text}).to_string().as_bytes())
}

fn message(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut encoded = BytesMut::new();
    for (name, value) in headers {
        encoded.put_u8(u8::try_from(name.len()).unwrap_or(0));
        encoded.put_slice(name.as_bytes());
        encoded.put_u8(TEXT);
        encoded.put_u16(u16::try_from(value.len()).unwrap_or(0));
        encoded.put_slice(value.as_bytes());
    }
    let mut message = BytesMut::new();
    message.put_u32(u32::try_from(FRAME + encoded.len() + payload.len()).unwrap_or(0));
    message.put_u32(u32::try_from(encoded.len()).unwrap_or(0));
    message.put_u32(sum(&message));
    message.put_slice(&encoded);
    message.put_slice(payload);
    message.put_u32(sum(&message));
    message.freeze()
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    #[test]
    fn the_published_empty_message_is_right() {
        // Smithy's test of an event stream: no headers, no payload.
        let expected = [0, 0, 0, 16, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(message(&[], b""), Bytes::from(expected.to_vec()));
    }

    #[tokio::test]
    async fn each_part_of_a_stream_is_a_message_however_it_is_cut() {
        let parts = ["data: {\"a\"", ":1}\n\ndata: {}\n\nda", "ta: [DONE]\n\n"].map(Ok::<_, io::Error>);
        let body =
            to_bytes(of_sse(Body::from_stream(stream::iter(parts)), |part| vec![chunk(part)]), 4096).await.unwrap();
        assert_eq!(body, [chunk(b"{\"a\":1}"), chunk(b"{}")].concat());
    }
}
