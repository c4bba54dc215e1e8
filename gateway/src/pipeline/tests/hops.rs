//! What a watcher is told of each message's way.

use super::*;

/// What was told so far: id, place, what happened.
fn told(hops: &mut broadcast::Receiver<Arc<Hop>>) -> Vec<(u64, String, &'static str, Option<String>)> {
    let place = |spot: &Spot| match spot {
        Spot::In => "in".to_owned(),
        Spot::Stage(name) => name.to_string(),
        Spot::Out => "out".to_owned(),
    };
    let said = |hop: Arc<Hop>| (hop.id.sequence, place(&hop.spot), hop.did, hop.message.as_ref().map(shown));
    std::iter::from_fn(|| hops.try_recv().ok()).map(said).collect()
}

#[tokio::test]
async fn a_watcher_is_told_what_each_stage_made_of_a_message() {
    let change = rule("change", "a", |message| Verdict::Modify(Message { payload: "new".into(), ..message.clone() }));
    let filter = rule("filter", "b", |_| Verdict::Filter);
    let (pipeline, mut delivered) = path(vec![change, filter]).await;
    let mut hops = pipeline.hops();
    for name in ["a", "b", "c"] {
        pipeline.ingest(from_radio(&pipeline, name, "old")).await.unwrap();
        assert!(pipeline.drain(PATIENCE).await);
    }
    assert_eq!(drain(&pipeline, &mut delivered).await, ["a=new", "c=old"]);
    let hop = |id, place: &str, did, message: Option<&str>| (id, place.to_owned(), did, message.map(str::to_owned));
    let told = told(&mut hops);
    let first = told[0].0;
    assert_eq!(
        told,
        [
            hop(first, "in", "came", Some("a=old")),
            hop(first, "change", "changed", Some("a=new")),
            hop(first, "out", "delivered", None),
            hop(first + 1, "in", "came", Some("b=old")),
            hop(first + 1, "filter", "filtered", None),
            hop(first + 2, "in", "came", Some("c=old")),
            hop(first + 2, "out", "delivered", None),
        ]
    );
}
