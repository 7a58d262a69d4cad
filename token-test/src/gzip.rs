//! A response goes in, the same response gzip-encoded (RFC 1952) comes out; stored blocks, nothing is compressed.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// The response with its body in gzip form and the header that says so.
pub(crate) async fn encode(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(stored(&body)))
}

fn stored(data: &[u8]) -> Vec<u8> {
    // Magic, deflate, no flags, no time, no extra flags, unknown system.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks = data.chunks(usize::from(u16::MAX)).count().max(1);
    for index in 0..blocks {
        let start = index * usize::from(u16::MAX);
        let block = &data[start..data.len().min(start + usize::from(u16::MAX))];
        let length = u16::try_from(block.len()).expect("a block is at most u16::MAX bytes");
        out.push(u8::from(index + 1 == blocks));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32(data).to_le_bytes());
    // RFC 1952 section 2.3.1: the size modulo 2^32.
    let size = u32::try_from(data.len() & 0xffff_ffff).expect("masked to 32 bits");
    out.extend(size.to_le_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !data.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_matches_its_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn splits_long_bodies_into_blocks() {
        let out = stored(&vec![7; 70_000]);
        assert_eq!(out.len(), 10 + 5 + 65_535 + 5 + (70_000 - 65_535) + 8);
        assert_eq!((out[10], out[10 + 5 + 65_535]), (0, 1), "only the last block is marked as last");
    }
}
