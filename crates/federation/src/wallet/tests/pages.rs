//! The pages, as a person sees them.

use super::*;

async fn get_page(scene: &Scene, path: &str, cookie: &str) -> (StatusCode, String) {
    scene.send(Request::get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap()).await
}

/// Posts a form without fields; returns the status, where to go on, and the cookie that was set.
async fn press(scene: &Scene, path: &str, cookie: &str) -> (StatusCode, String, String) {
    let request = Request::post(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap();
    let response = scene.router.clone().oneshot(request).await.unwrap();
    let text = |name| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let cookie = text(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    (response.status(), text(header::LOCATION), cookie)
}

#[tokio::test]
async fn a_link_leads_once_to_a_page_that_opens_the_wallet_and_then_says_what_became_of_it() {
    let scene = Scene::new(false).await;
    let path = scene.wallet.link(&ada()).unwrap();
    let (status, door) = get_page(&scene, &path, "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(door.contains("<form method=\"post\">"), "{door}");
    let (status, next, _) = press(&scene, &path, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (status, page) = get_page(&scene, &next, "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("href=\"openid4vp://?client_id=x509_san_dns%3Aexeat.example.com&amp;request_uri="), "{page}");
    let id = next.strip_prefix("/wallet/present/").unwrap();
    let request = scene.request(id).await;
    let token = scene.response(&request, scene.issue(scene.pid(), json!(["nationalities"])));
    let (_, body) = scene.post(id, &[("vp_token", &token), ("state", request["state"].as_str().unwrap())]).await;
    assert_eq!(body, json!({ "redirect_uri": format!("{ORIGIN}{next}") }).to_string());
    assert!(get_page(&scene, &next, "").await.1.contains("on record"));
    assert_eq!(press(&scene, &path, "").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_link_is_over_after_a_quarter_of_an_hour_and_none_is_made_for_who_is_not_there() {
    let scene = Scene::new(false).await;
    let path = scene.wallet.link(&ada()).unwrap();
    scene.advance(15 * 60);
    assert_eq!(press(&scene, &path, "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(press(&scene, "/wallet/link/short", "").await.0, StatusCode::NOT_FOUND);
    assert!(scene.wallet.link(&PersonId::parse("nobody").unwrap()).is_err());
}

#[tokio::test]
async fn a_person_goes_from_their_own_page_to_their_wallet_and_nobody_else_does() {
    let scene = Scene::new(false).await;
    let (_, _, cookie) = press(&scene, &scene.pages.link(&ada()).unwrap(), "").await;
    assert_eq!(get_page(&scene, "/wallet/present", &cookie).await.0, StatusCode::OK);
    let (status, next, _) = press(&scene, "/wallet/present", &cookie).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(get_page(&scene, &next, "").await.1.contains("Open your wallet"));
    for cookie in ["", "__Host-exeat-me=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(get_page(&scene, "/wallet/present", cookie).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(press(&scene, "/wallet/present", cookie).await.0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn whoever_is_asked_for_a_credential_sees_about_whom_it_will_be_recorded() {
    let scene = Scene::new(false).await;
    let (path, named) = (scene.wallet.link(&ada()).unwrap(), "about <strong>Ada &lt;Lark&gt;</strong>");
    let door = get_page(&scene, &path, "").await.1;
    assert!(door.contains(named), "{door}");
    let (_, next, _) = press(&scene, &path, "").await;
    let page = get_page(&scene, &next, "").await.1;
    assert!(page.contains(named), "{page}");
    assert_eq!(get_page(&scene, &path, "").await.0, StatusCode::NOT_FOUND, "a link that was used names nobody");
    let (_, _, cookie) = press(&scene, &scene.pages.link(&ada()).unwrap(), "").await;
    assert!(get_page(&scene, "/wallet/present", &cookie).await.1.contains(named));
}

#[tokio::test]
async fn what_a_page_of_another_site_posts_begins_nothing_but_a_wallets_answer_is_taken_from_anywhere() {
    let scene = Scene::new(false).await;
    let path = scene.wallet.link(&ada()).unwrap();
    let (_, _, cookie) = press(&scene, &scene.pages.link(&ada()).unwrap(), "").await;
    let id = scene.begin().await;
    let post = async |path: &str, (name, value): (&str, &str)| {
        let request = Request::post(path).header(header::COOKIE, &cookie).header(name, value);
        scene.send(request.body(Body::empty()).unwrap()).await.0
    };
    for from in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
    {
        for path in [&path, "/wallet/present", "/wallet/presentations", "/wallet/clearances"] {
            assert_eq!(post(path, from).await, StatusCode::FORBIDDEN, "{path} {from:?}");
        }
        let answered = post(&format!("/wallet/requests/{id}"), from).await;
        assert_eq!(answered, StatusCode::OK, "a wallet may be a page of its own");
        let refused = post(&format!("/wallet/responses/{id}"), from).await;
        assert_eq!(refused, StatusCode::BAD_REQUEST, "for what it lacks, not for where it comes from");
    }
    assert_eq!(post(&path, ("origin", ORIGIN)).await, StatusCode::SEE_OTHER);
    assert_eq!(post("/wallet/present", ("sec-fetch-site", "same-origin")).await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_person_begins_at_a_rate_and_has_four_presentations_open_at_a_time() {
    let scene = Scene::new(false).await;
    let (_, _, cookie) = press(&scene, &scene.pages.link(&ada()).unwrap(), "").await;
    let mut begun = Vec::new();
    for _ in 0..6 {
        let (status, next, _) = press(&scene, "/wallet/present", &cookie).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        begun.push(next);
        scene.advance(1);
    }
    assert_eq!(press(&scene, "/wallet/present", &cookie).await.0, StatusCode::TOO_MANY_REQUESTS);
    let mut open = Vec::new();
    for path in &begun {
        open.push(get_page(&scene, path, "").await.0 == StatusCode::OK);
    }
    assert_eq!(open, [false, false, true, true, true, true]);
    scene.advance(10);
    assert_eq!(press(&scene, "/wallet/present", &cookie).await.0, StatusCode::SEE_OTHER);
}
