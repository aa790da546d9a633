//! `GET /tag.js`, and the same under a name that changes with its content, to be kept for ever. The
//! source is in `crates/mayfly/tag/`.

use std::sync::LazyLock;

use actix_web::http::header::{self, EntityTag};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use sha2::{Digest, Sha256};

use crate::tokens::hex;

/// The tag, built and minified.
const TAG: &str = include_str!("../../tag/dist/tag.js");
/// Characters of the hash in the name.
const NAME: usize = 16;

static HASH: LazyLock<String> =
    LazyLock::new(|| hex(&Sha256::digest(TAG.as_bytes())).chars().take(NAME).collect());

/// What a page embeds: the tag under the name of its content, and a pixel for browsers without
/// scripts. `server` is where browsers reach us, without a slash at its end.
#[must_use]
pub fn snippet(server: &str, prefix: &str, key: &str) -> String {
    format!(
        "<script async src=\"{server}{prefix}/tag.{}.js\" data-site=\"{key}\"></script>\n\
         <noscript><img src=\"{server}{prefix}/p.gif?s={key}\" width=\"1\" height=\"1\" alt=\"\" \
         referrerpolicy=\"no-referrer-when-downgrade\"></noscript>",
        *HASH
    )
}

/// The tag of today: looked for anew every hour.
pub(crate) async fn latest(request: HttpRequest) -> HttpResponse {
    let tag = EntityTag::new_strong(HASH.clone());
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let is_known = known.is_some_and(|known| known.contains(tag.tag()) || known.trim() == "*");
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((header::CACHE_CONTROL, "public, max-age=3600"));
    answer.insert_header(header::ETag(tag));
    if is_known { answer.finish() } else { script(answer) }
}

/// The tag of one version: never changes. Pages that name an older one go on with today's.
pub(crate) async fn of_version(request: HttpRequest, hash: web::Path<String>) -> HttpResponse {
    if **hash != **HASH {
        return latest(request).await;
    }
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"));
    script(answer)
}

fn script(mut answer: HttpResponseBuilder) -> HttpResponse {
    answer
        .content_type("text/javascript; charset=utf-8")
        .insert_header(("cross-origin-resource-policy", "cross-origin"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(TAG)
}
