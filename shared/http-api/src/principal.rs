//! Who calls.

use eventstar_ports::Config;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use subtle::ConstantTimeEq;

use crate::{Request, Response, error};

/// The caller, as far as its token tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// No token.
    Anonymous,
    /// A token that is nobody's.
    Unknown,
    /// The holder of the admin token.
    Admin,
    /// The holder of a producer token, by the token's name.
    Producer(String),
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Granted,
    /// It must show a token first: 401.
    TokenMissing,
    /// Its token is not good for this: 403.
    Refused,
}

impl Principal {
    /// Reads `Authorization: Bearer …` against the secrets `ADMIN_TOKEN` and `PRODUCER_TOKENS` (`name=token`, separated by
    /// white space). Tokens are compared in constant time.
    pub fn of(headers: &HeaderMap, config: &impl Config) -> Self {
        let Some(value) = headers.get(AUTHORIZATION) else {
            return Self::Anonymous;
        };
        let token = value.to_str().unwrap_or_default();
        let token = match token.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Self::Unknown,
        };
        let is = |secret: &str| !secret.is_empty() && bool::from(secret.as_bytes().ct_eq(token.as_bytes()));
        if config.get("ADMIN_TOKEN").is_some_and(|secret| is(&secret)) {
            return Self::Admin;
        }
        let producers = config.get("PRODUCER_TOKENS").unwrap_or_default();
        producers
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .find(|(_, secret)| is(secret))
            .map_or(Self::Unknown, |(name, _)| Self::Producer(name.to_owned()))
    }

    /// Whether the caller may use admin routes and read metrics.
    #[must_use]
    pub fn admin(&self) -> Access {
        match self {
            Self::Admin => Access::Granted,
            Self::Anonymous => Access::TokenMissing,
            Self::Unknown | Self::Producer(_) => Access::Refused,
        }
    }

    /// Whether the caller may produce to a stream that takes only tokens; `names` are the tokens that may, any when empty.
    #[must_use]
    pub fn produce(&self, names: &[String]) -> Access {
        match self {
            Self::Admin => Access::Granted,
            Self::Anonymous => Access::TokenMissing,
            Self::Producer(name) if names.is_empty() || names.contains(name) => Access::Granted,
            Self::Unknown | Self::Producer(_) => Access::Refused,
        }
    }
}

/// Lets only the admin token pass; the error is the answer for all others.
///
/// # Errors
/// 401 without a token, 403 with another.
pub fn admin_only(config: &impl Config, request: &Request) -> Result<(), Response> {
    match Principal::of(request.headers(), config).admin() {
        Access::Granted => Ok(()),
        Access::TokenMissing => {
            let detail = "admin routes need a token: send Authorization: Bearer <ADMIN_TOKEN>";
            let mut response = error(
                request,
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Token Required",
                detail,
            );
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            Err(response)
        }
        Access::Refused => {
            let detail = "the token sent is not the deployment's admin token";
            Err(error(
                request,
                StatusCode::FORBIDDEN,
                "forbidden",
                "Wrong Token",
                detail,
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Secrets;

    impl Config for Secrets {
        fn get(&self, name: &str) -> Option<String> {
            match name {
                "ADMIN_TOKEN" => Some("root".into()),
                "PRODUCER_TOKENS" => Some("shop=s1\n web=w1 broken empty=".into()),
                _ => None,
            }
        }
    }

    fn principal(authorization: &str) -> Principal {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        Principal::of(&headers, &Secrets)
    }

    #[test]
    fn tokens_name_their_holders() {
        for (authorization, expected) in [
            ("", Principal::Anonymous),
            ("Bearer root", Principal::Admin),
            ("bearer s1", Principal::Producer("shop".into())),
            ("Bearer w1", Principal::Producer("web".into())),
            ("Bearer", Principal::Unknown),
            ("Bearer ", Principal::Unknown),
            ("Bearer nope", Principal::Unknown),
            ("Basic root", Principal::Unknown),
        ] {
            assert_eq!(principal(authorization), expected, "{authorization:?}");
        }
    }

    #[test]
    fn a_stream_may_name_the_tokens_that_produce_to_it() {
        let shop = vec!["shop".to_owned()];
        assert_eq!(principal("Bearer s1").produce(&shop), Access::Granted);
        assert_eq!(principal("Bearer w1").produce(&shop), Access::Refused);
        assert_eq!(principal("Bearer w1").produce(&[]), Access::Granted);
        assert_eq!(principal("").produce(&[]), Access::TokenMissing);
        assert_eq!(principal("Bearer s1").admin(), Access::Refused);
    }
}
