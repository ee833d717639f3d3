//! A small HTTP/1.1 client.
//!
//! It sends exactly what it is told, hands back exactly what came, and reads an answer that comes before the
//! whole request is sent, which is how a server refuses a body that is too large.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The longest wait for the next byte of an answer: turns a hang into a failure.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    chunked: bool,
}

impl Request {
    /// A request without body; `path` has the query in it.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            headers: Vec::new(),
            body: None,
            chunked: false,
        }
    }

    /// `GET path`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// `POST path` with a JSON body.
    #[must_use]
    pub fn post_json(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path)
            .header("content-type", "application/json")
            .body(body)
    }

    /// `PUT path` with a JSON body.
    #[must_use]
    pub fn put_json(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("PUT", path)
            .header("content-type", "application/json")
            .body(body)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sets the body, sent with its length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends the body in chunks, so that its length is not known beforehand.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// The method and the path, as failures name them.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn head(&self, authority: &str, keep_alive: bool) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {authority}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.body {
            Some(_) if self.chunked => head.push_str("transfer-encoding: chunked\r\n"),
            Some(body) => head.push_str(&format!("content-length: {}\r\n", body.len())),
            None if matches!(self.method.as_str(), "POST" | "PUT") => head.push_str("content-length: 0\r\n"),
            None => {}
        }
        if !keep_alive {
            head.push_str("connection: close\r\n");
        }
        head.push_str("\r\n");
        head
    }

    fn write(&self, authority: &str, keep_alive: bool, mut out: impl Write) -> io::Result<()> {
        let mut bytes = self.head(authority, keep_alive).into_bytes();
        match &self.body {
            Some(body) if self.chunked => {
                for piece in body.chunks(64 * 1024) {
                    bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                    bytes.extend_from_slice(piece);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            Some(body) => bytes.extend_from_slice(body),
            None => {}
        }
        out.write_all(&bytes)?;
        out.flush()
    }
}

/// An answer whose body has been read.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers in the order they came, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body must be UTF-8")
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body must be JSON ({error}): {self:?}"))
    }

    /// Fails unless the status is `status`.
    #[must_use]
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let shown = String::from_utf8_lossy(&self.body);
        let shown: String = shown.chars().take(2000).collect();
        assert_eq!(
            self.status, status,
            "status, with headers {:?} and body {shown}",
            self.headers
        );
        self
    }
}

/// Where requests go.
#[derive(Debug, Clone)]
pub struct Origin {
    authority: String,
}

impl Origin {
    /// Reads a base URL, `http://host:port`.
    #[must_use]
    pub fn parse(base_url: &str) -> Self {
        let authority = base_url
            .strip_prefix("http://")
            .unwrap_or_else(|| panic!("the base URL must start with http://: {base_url}"))
            .trim_end_matches('/');
        Self {
            authority: authority.to_owned(),
        }
    }

    /// The base URL, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// Whether anything accepts connections there.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.connect().is_ok()
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let address = self
            .authority
            .to_socket_addrs()?
            .find(std::net::SocketAddr::is_ipv4);
        let address =
            address.ok_or_else(|| io::Error::other(format!("no address for {}", self.authority)))?;
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(stream)
    }

    /// Sends a request over a connection of its own and reads the answer.
    ///
    /// # Errors
    /// What the socket says, and answers that are not HTTP.
    pub fn try_send(&self, request: &Request) -> io::Result<Answer> {
        let stream = self.connect()?;
        let writer = stream.try_clone()?;
        std::thread::scope(|scope| {
            // The server may answer and stop reading before it has the whole body: then the answer counts, not the
            // failed write.
            scope.spawn(|| request.write(&self.authority, false, writer));
            let (answer, body) = start(BufReader::new(stream), request)?;
            finish(answer, body).map(|(answer, _)| answer)
        })
    }

    /// Sends a request and reads the answer.
    #[must_use]
    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        match self.try_send(request) {
            Ok(answer) => answer,
            Err(error) => panic!("no answer to {}: {error}", request.line()),
        }
    }

    /// Sends a request and hands over the body of the answer while it comes.
    ///
    /// # Errors
    /// What the socket says, and answers that are not HTTP.
    pub fn open(&self, request: &Request) -> io::Result<(Answer, BodyReader)> {
        let stream = self.connect()?;
        request.write(&self.authority, true, &stream)?;
        start(BufReader::new(stream), request)
    }

    /// A connection whose bytes the test sends itself, when it likes.
    ///
    /// # Errors
    /// What the socket says.
    pub fn raw(&self) -> io::Result<Raw> {
        Ok(Raw {
            authority: self.authority.clone(),
            stream: self.connect()?,
        })
    }

    /// A connection for many requests.
    ///
    /// # Errors
    /// What the socket says.
    pub fn keep_alive(&self) -> io::Result<Connection> {
        Ok(Connection {
            authority: self.authority.clone(),
            stream: Some(BufReader::new(self.connect()?)),
        })
    }
}

/// A connection that is used again and again.
#[derive(Debug)]
pub struct Connection {
    authority: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// What the socket says; then the connection is used up.
    pub fn send(&mut self, request: &Request) -> io::Result<Answer> {
        let stream = self
            .stream
            .take()
            .ok_or_else(|| io::Error::other("the connection is used up"))?;
        request.write(&self.authority, true, stream.get_ref())?;
        let (answer, body) = start(stream, request)?;
        let (answer, stream) = finish(answer, body)?;
        if answer
            .header("connection")
            .is_none_or(|value| !value.eq_ignore_ascii_case("close"))
        {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// Whether another request can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }
}

/// A connection whose bytes the test sends itself. Dropping it cuts it off.
#[derive(Debug)]
pub struct Raw {
    authority: String,
    stream: TcpStream,
}

impl Raw {
    /// Sends the head of a `POST` of JSON; `framing` is its last header: how long the body is, or that it comes in chunks.
    ///
    /// # Errors
    /// What the socket says.
    pub fn post_head(&mut self, path: &str, framing: &str) -> io::Result<()> {
        let request = Request::new("POST", path).header("content-type", "application/json");
        // A body of its own would say how long it is.
        let head = request.head(&self.authority, false);
        self.send(head.replace("content-length: 0", framing))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// What the socket says.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Says that nothing more will be sent; an answer can still come.
    ///
    /// # Errors
    /// What the socket says.
    pub fn end(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Reads the answer to a `POST`.
    ///
    /// # Errors
    /// What the socket says, and answers that are not HTTP.
    pub fn answer(self) -> io::Result<Answer> {
        let (answer, body) = start(BufReader::new(self.stream), &Request::new("POST", ""))?;
        finish(answer, body).map(|(answer, _)| answer)
    }
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunked { left: u64, first: bool },
    ToTheEnd,
}

/// The body of an answer, read while it comes.
#[derive(Debug)]
pub struct BodyReader {
    stream: BufReader<TcpStream>,
    framing: Framing,
}

impl BodyReader {
    /// Sets how long the next read may wait.
    ///
    /// # Errors
    /// What the socket says.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream
            .get_ref()
            .set_read_timeout(Some(timeout.max(Duration::from_millis(1))))
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        if let Framing::Chunked { left: 0, first } = self.framing {
            if !first {
                read_line(&mut self.stream)?;
            }
            let line = read_line(&mut self.stream)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let left = u64::from_str_radix(digits, 16)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("not a chunk: {line:?}")))?;
            if left == 0 {
                while !read_line(&mut self.stream)?.is_empty() {}
                self.framing = Framing::Length(0);
            } else {
                self.framing = Framing::Chunked { left, first: false };
            }
        }
        Ok(())
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next_chunk()?;
        let at_most = match self.framing {
            Framing::Length(left) | Framing::Chunked { left, .. } => {
                usize::try_from(left).unwrap_or(usize::MAX)
            }
            Framing::ToTheEnd => usize::MAX,
        };
        let at_most = at_most.min(buffer.len());
        if at_most == 0 {
            return Ok(0);
        }
        let count = self.stream.read(&mut buffer[..at_most])?;
        match &mut self.framing {
            Framing::Length(left) | Framing::Chunked { left, .. } => {
                if count == 0 {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the answer was cut off",
                    ));
                }
                *left -= count as u64;
            }
            Framing::ToTheEnd => {}
        }
        Ok(count)
    }
}

fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the connection was closed",
        ));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads status and headers.
fn start(mut stream: BufReader<TcpStream>, request: &Request) -> io::Result<(Answer, BodyReader)> {
    let status = loop {
        let line = read_line(&mut stream)?;
        let status = line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, line))?;
        if status >= 200 {
            break status;
        }
        while !read_line(&mut stream)?.is_empty() {}
    };
    let mut answer = Answer {
        status,
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let line = read_line(&mut stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, line.clone()))?;
        answer
            .headers
            .push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = answer
        .header("content-length")
        .and_then(|value| value.parse().ok());
    let framing = if request.method == "HEAD" || matches!(status, 204 | 304) {
        Framing::Length(0)
    } else if answer
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    {
        Framing::Chunked { left: 0, first: true }
    } else {
        length.map_or(Framing::ToTheEnd, Framing::Length)
    };
    Ok((answer, BodyReader { stream, framing }))
}

/// Reads the rest of an answer.
fn finish(mut answer: Answer, mut body: BodyReader) -> io::Result<(Answer, BufReader<TcpStream>)> {
    body.read_to_end(&mut answer.body)?;
    Ok((answer, body.stream))
}
