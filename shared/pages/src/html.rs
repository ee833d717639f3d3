//! Writing a page. Everything that is given as text is escaped.

use eventstar_http_api::Response;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE as CONTENT_TYPE_HEADER, HeaderValue};

/// The type of a page.
pub const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// The style, the one thing that a page may use: its hash stands in [`POLICY`].
const STYLE: &str = include_str!("style.css");

/// Nothing is loaded and nothing runs, whatever a schema says.
const POLICY: &str = "default-src 'none'; style-src 'sha256-wo7dLUdxQcC7+qjidlhfz7QZtCmFoh+scNGKge9kWVI='; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Puts the policy of pages in place of that of other answers.
pub fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if headers
        .get(CONTENT_TYPE_HEADER)
        .is_some_and(|value| value == CONTENT_TYPE)
    {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    response
}

/// A page that is being written; the default one has no head.
#[derive(Default)]
pub struct Html(String);

impl Html {
    /// Begins a page.
    pub fn begin(title: &str) -> Self {
        let mut html = Self(String::with_capacity(16 * 1024));
        html.raw("<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n");
        html.raw("<meta name=viewport content=\"width=device-width\">\n");
        html.element("title", title);
        html.raw("<style>");
        html.raw(STYLE);
        html.raw("</style>\n");
        html
    }

    /// Adds markup.
    pub fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Adds text.
    pub fn text(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
    }

    /// Adds a name of parts, in which a line may break before each `separator`.
    pub fn name(&mut self, name: &str, separator: char) {
        for (place, part) in name.split(separator).enumerate() {
            if place > 0 {
                self.raw("<wbr>");
                self.text(separator.encode_utf8(&mut [0; 4]));
            }
            self.text(part);
        }
    }

    /// Adds an element with a text.
    pub fn element(&mut self, name: &str, text: &str) {
        self.raw(&format!("<{name}>"));
        self.text(text);
        self.raw(&format!("</{name}>\n"));
    }

    /// Adds a link.
    pub fn link(&mut self, to: &str, text: &str) {
        self.raw("<a href=\"");
        self.text(to);
        self.raw("\">");
        self.text(text);
        self.raw("</a>");
    }

    /// Ends the page.
    pub fn end(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_the_style() {
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
        assert!(
            POLICY.contains(&format!("'sha256-{hash}'")),
            "the style's hash is {hash}"
        );
        assert!(!STYLE.contains("</"));
    }

    #[test]
    fn text_cannot_become_markup() {
        let mut html = Html(String::new());
        html.element("p", "<script>'\"&");
        html.link("\"><x", "y");
        html.name("a.<b", '.');
        assert_eq!(
            html.end(),
            "<p>&lt;script&gt;&#39;&quot;&amp;</p>\n<a href=\"&quot;&gt;&lt;x\">y</a>a<wbr>.&lt;b"
        );
    }
}
