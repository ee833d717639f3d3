//! As much of HTTP/1.1 as the load generator needs: a request's text, and where an answer ends.

use std::io::{self, BufRead as _, BufReader, Read};

/// The text of a POST.
pub(super) fn post(port: u16, path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The answers of one connection, one after the other.
pub(super) struct Answers<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    body: Vec<u8>,
}

impl<R: Read> Answers<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::new(input),
            line: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Reads one answer to its end: status and body.
    pub(super) fn next(&mut self) -> io::Result<(u16, &[u8])> {
        self.body.clear();
        let status = self
            .read_line()?
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| malformed("a status line without a status"))?;
        let mut length = None;
        let mut chunked = false;
        loop {
            let header = self.read_line()?;
            let Some((name, value)) = header.split_once(':') else {
                break;
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                let value = value
                    .parse()
                    .map_err(|_| malformed("a length that is no number"))?;
                length = Some(value);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.eq_ignore_ascii_case("chunked");
            }
        }
        match length {
            _ if chunked => self.read_chunks()?,
            Some(length) => self.read_body(length)?,
            None if matches!(status, 204 | 304) => {}
            None => return Err(malformed("an answer without a length")),
        }
        Ok((status, &self.body))
    }

    fn read_chunks(&mut self) -> io::Result<()> {
        loop {
            let size = self.read_line()?.split(';').next().unwrap_or_default().trim();
            let size =
                u64::from_str_radix(size, 16).map_err(|_| malformed("a chunk size that is no number"))?;
            if size == 0 {
                // Trailers, and the empty line after them.
                while !self.read_line()?.is_empty() {}
                return Ok(());
            }
            self.read_body(size)?;
            self.read_line()?;
        }
    }

    fn read_body(&mut self, length: u64) -> io::Result<()> {
        let read = self.input.by_ref().take(length).read_to_end(&mut self.body)?;
        if read as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// The next line without its end.
    fn read_line(&mut self) -> io::Result<&str> {
        self.line.clear();
        self.input.read_until(b'\n', &mut self.line)?;
        if self.line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = std::str::from_utf8(&self.line).map_err(|_| malformed("a header that is no text"))?;
        Ok(line.trim_end_matches(['\r', '\n']))
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_length_of_its_body() {
        let text = String::from_utf8(post(8080, "/v1/events", "{\"é\":1}")).unwrap();
        assert!(text.starts_with("POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n"));
        assert!(text.ends_with("content-length: 8\r\n\r\n{\"é\":1}"), "{text}");
    }

    #[test]
    fn answers_follow_each_other_on_a_connection() {
        let text = concat!(
            "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 207 Multi-Status\r\ncontent-length: 3\r\n\r\nabc",
            "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nt: 1\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        );
        let mut answers = Answers::new(text.as_bytes());
        for expected in [
            (201, ""),
            (207, "abc"),
            (201, ""),
            (400, "abc0123456789"),
            (204, ""),
        ] {
            let (status, body) = answers.next().unwrap();
            assert_eq!((status, std::str::from_utf8(body).unwrap()), expected);
        }
        assert_eq!(answers.next().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_has_no_clear_end_is_an_error() {
        for text in [
            "HTTP/1.1 201 Created\r\n\r\n",
            "HTTP/1.1 201 Created\r\ncontent-length: x\r\n\r\n",
            "HTTP/1.1 201 Created\r\ncontent-length: 3\r\n\r\nab",
            "HTTP/1.1 201 Created\r\ncontent-le",
            "hello\r\n\r\n",
        ] {
            assert!(Answers::new(text.as_bytes()).next().is_err(), "{text}");
        }
    }
}
