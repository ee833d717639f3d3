//! An HTTPS server whose certificate nobody has signed but itself.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How long a request may pause before all of it is there.
const PAUSE: Duration = Duration::from_millis(200);

/// Starts one that gives this answer to whoever trusts it, for as long as the tests run; returns its `host:port`.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn start_self_signed(answer: &'static str) -> String {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate and its key");
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // Clients that do not trust it hang up.
            thread::spawn(move || drop(serve(client, config, answer)));
        }
    });
    address
}

fn serve(client: TcpStream, config: Arc<ServerConfig>, answer: &str) -> io::Result<()> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, client);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    stream.sock.set_read_timeout(Some(PAUSE))?;
    let mut buffer = [0; 16 * 1024];
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
    stream.write_all(answer.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}
