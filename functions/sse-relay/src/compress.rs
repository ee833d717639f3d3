//! Compressed streams, for clients that ask for them.

use std::io::Write as _;

use bytes::Bytes;
use eventstar_ports::{ByteStream, Config};
use eventstar_stores::bad_setting;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// The setting. It is off by default: a compressor takes some 300 kB for each connection, which an isolate of 128 MB has to
/// have for all of its own.
const SETTING: &str = "COMPRESS_STREAMS";

/// Whether a stream is to be compressed: the setting `COMPRESS_STREAMS` is `gzip`, and the client takes that.
pub(crate) fn is_wanted(config: &impl Config, headers: &HeaderMap) -> bool {
    config.get(SETTING).as_deref() == Some("gzip") && takes_gzip(headers)
}

/// Whether `Accept-Encoding` names gzip, and not with the weight 0 (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            is_gzip && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
        })
}

/// The same pieces as one gzip stream. Each is flushed, so that the client can read it when it comes.
pub(crate) fn gzip(pieces: ByteStream) -> ByteStream {
    let encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
    futures_util::stream::unfold((pieces, encoder), async |(mut pieces, encoder)| {
        let mut encoder = encoder?;
        match pieces.next().await {
            Some(piece) => {
                // Writing to memory cannot fail.
                encoder.write_all(&piece).and_then(|()| encoder.flush()).ok()?;
                let compressed = std::mem::take(encoder.get_mut());
                Some((Bytes::from(compressed), (pieces, Some(encoder))))
            }
            None => Some((Bytes::from(encoder.finish().ok()?), (pieces, None))),
        }
    })
    .boxed_local()
}

/// What is wrong with the setting.
pub(crate) fn bad_settings(config: &impl Config) -> Option<String> {
    let value = config.get(SETTING).filter(|value| value != "gzip")?;
    Some(bad_setting(SETTING, &value, "gzip", "streams are not compressed"))
}

#[cfg(test)]
mod tests {
    use eventstar_platform_memory::Memory;
    use flate2::write::GzDecoder;
    use futures_util::stream;

    use super::*;

    #[test]
    fn each_piece_can_be_read_when_it_comes() {
        pollster::block_on(async {
            let texts = [":ok\n\n", "event: message\n\n", ":\n\n"];
            let pieces = stream::iter(texts.map(|text| Bytes::from_static(text.as_bytes())));
            let mut compressed = gzip(pieces.boxed_local());
            let mut decoder = GzDecoder::new(Vec::new());
            for text in texts {
                decoder.write_all(&compressed.next().await.unwrap()).unwrap();
                decoder.flush().unwrap();
                assert_eq!(std::mem::take(decoder.get_mut()), text.as_bytes());
            }
            decoder.write_all(&compressed.next().await.unwrap()).unwrap();
            assert_eq!(decoder.finish().unwrap(), b"");
            assert_eq!(compressed.next().await, None);
        });
    }

    #[test]
    fn a_stream_is_compressed_where_the_setting_and_the_client_want_it() {
        for (setting, accepted, wanted) in [
            ("gzip", "gzip", true),
            ("gzip", "br, GZIP;q=0.5", true),
            ("gzip", "gzip;q=0", false),
            ("gzip", "gzip; q=0.0, br", false),
            ("gzip", "br", false),
            ("gzip", "", false),
            ("", "gzip", false),
            ("br", "gzip", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, accepted.parse().unwrap());
            let config = Memory::new().with(SETTING, setting);
            assert_eq!(is_wanted(&config, &headers), wanted, "{setting:?} {accepted:?}");
        }
    }

    #[test]
    fn another_setting_is_told() {
        assert_eq!(bad_settings(&Memory::new().with(SETTING, "gzip")), None);
        assert!(
            bad_settings(&Memory::new().with(SETTING, "br"))
                .unwrap()
                .contains(SETTING)
        );
    }
}
