//! What the black-box suites of `tests/` are written with.
//!
//! The suites talk HTTP to one base URL and know nothing of what answers there, so the same assertions hold on
//! workerd and under Spin. Nothing of the platform is linked in: the HTTP client, the SSE reader and the JSON
//! text tools are written a second time here, so that a defect cannot hide behind shared code.
//!
//! | variable | what |
//! |---|---|
//! | `EVENTSTAR_BASE_URL` | the origin under test, with the schemas and streams of `examples/` published |
//! | `EVENTSTAR_ADMIN_TOKEN` | its admin token |
//! | `EVENTSTAR_PRODUCER_TOKEN` | a producer token that is good for `shop.refund` |
//! | `EVENTSTAR_HOST` | `workerd` or `spin`: what the suites start when they need an origin of their own |
//! | `EVENTSTAR_XTASK` | the `xtask` program that starts it |
//! | `EVENTSTAR_COMMAND` | the `eventstar` command |
//! | `EVENTSTAR_NODE` | the Node.js that runs the tests of `tests/browser`, and Kafka's client in `tests/kafka` |
//! | `CHROMIUM` | the browser that they use |
//! | `EVENTSTAR_KILL_SEEDS` | how many kills the durability suite goes through; 10 when not set |
//! | `EVENTSTAR_KAFKA_KILLS` | how many kills a load goes through whose events go to Kafka; 2 when not set |
//! | `UPDATE_GOLDEN` | `1` writes the files of `tests/golden` anew instead of comparing |

pub mod admin;
pub mod cluster;
pub mod command;
pub mod dev;
pub mod events;
pub mod golden;
pub mod http;
pub mod instance;
pub mod kafka;
pub mod ledger;
pub mod load;
pub mod proxy;
pub mod random;
pub mod sse;
pub mod text;
pub mod tls;
pub mod upstream;

pub use dev::Dev;
pub use http::{Answer, Request};
pub use instance::Instance;
pub use sse::{Events, SseEvent};
