//! API keys and admin tokens over HTTP.

use axum::response::Response;
use terms::KeyId;

use super::{
    call::{Answer, Call, ListQuery, PersonQuery},
    views::{KeyView, MintedView, TokenView},
};
use crate::{NewKey, NewToken, admin::Area};

/// Lists keys, of one person or of everybody, in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/keys",
    tag = "keys",
    params(PersonQuery),
    responses((status = 200, body = ref("#/components/schemas/KeyList"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn list_keys(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        let (person, page) = sent.query::<PersonQuery>()?.page()?;
        Answer::ok(&reader.keys(person, page)?.map(KeyView::from))
    })
    .await
}

/// Mints an API key and shows it once.
#[utoipa::path(
    post,
    path = "/admin/v1/keys",
    tag = "keys",
    request_body = NewKey,
    responses((status = 201, body = ref("#/components/schemas/KeyMinted"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn mint_key(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        let minted = registrar.mint_key(sent.body::<NewKey>()?)?;
        let changed = minted.changed.map(KeyView::from);
        Answer::secret(&MintedView::new(&changed, Some(minted.key.reveal())), &MintedView::new(&changed, None))
    })
    .await
}

/// Shows a key, without its secret, which nobody has.
#[utoipa::path(
    get,
    path = "/admin/v1/keys/{id}",
    tag = "keys",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/Key"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn get_key(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        Answer::ok(&KeyView::from(reader.key(&sent.param::<KeyId>("id")?)?))
    })
    .await
}

/// Revokes a key and recalls the live calls under it.
#[utoipa::path(
    post,
    path = "/admin/v1/keys/{id}/revoke",
    tag = "keys",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/KeyChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn revoke_key(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        let changed = registrar.revoke_key(&sent.param::<KeyId>("id")?)?;
        Answer::ok(&changed.map(KeyView::from))
    })
    .await
}

/// Lists admin tokens, without their secrets.
#[utoipa::path(
    get,
    path = "/admin/v1/admin-tokens",
    tag = "admin-tokens",
    params(ListQuery),
    responses((status = 200, body = ref("#/components/schemas/AdminTokenList"))),
    security(("admin_token" = ["root", "auditor"])),
)]
pub(super) async fn list_tokens(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Tokens)?;
        let page = sent.query::<ListQuery>()?.page()?;
        Answer::ok(&reader.tokens(page)?.map(TokenView::from))
    })
    .await
}

/// Mints an admin token and shows it once.
#[utoipa::path(
    post,
    path = "/admin/v1/admin-tokens",
    tag = "admin-tokens",
    request_body = NewToken,
    responses((status = 201, body = ref("#/components/schemas/AdminTokenMinted"))),
    security(("admin_token" = ["root"])),
)]
pub(super) async fn mint_token(call: Call) -> Response {
    call.run(|admin, sent| {
        let root = admin.root()?;
        let minted = root.mint_token(sent.body::<NewToken>()?)?;
        let changed = minted.changed.map(TokenView::from);
        Answer::secret(&MintedView::new(&changed, Some(minted.token.reveal())), &MintedView::new(&changed, None))
    })
    .await
}

/// Revokes an admin token.
#[utoipa::path(
    post,
    path = "/admin/v1/admin-tokens/{id}/revoke",
    tag = "admin-tokens",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/AdminTokenChanged"))),
    security(("admin_token" = ["root"])),
)]
pub(super) async fn revoke_token(call: Call) -> Response {
    call.run(|admin, sent| {
        let root = admin.root()?;
        let changed = root.revoke_token(&sent.param::<KeyId>("id")?)?;
        Answer::ok(&changed.map(TokenView::from))
    })
    .await
}
