//! Messages that more than one stage can hold: which of them does, in which order they go on, and what they meet again.

use super::*;

#[tokio::test]
async fn what_comes_off_a_shelf_and_finds_a_later_one_full_lies_there_in_the_room_that_it_had() {
    let (pipeline, mut delivered) = Pipeline::new(1);
    let kept = Arc::<Book>::default();
    let shelf = |room| pipeline.shelf(Box::new(Keeps(Arc::clone(&kept))), room, Vec::new());
    let (first, second) = (shelf(3 * HELD_MIN_BYTES), shelf(2 * HELD_MIN_BYTES));
    let open = [Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false))];
    let moody = |name, open: &Arc<AtomicBool>, hates, shelf: &Arc<Shelf>| {
        let moody = Moody { open: Arc::clone(open), hates, asked: Arc::default() };
        Stage { shelf: Some(Arc::clone(shelf)), ..stage(name, "#", moody) }
    };
    let stages = vec![moody("first", &open[0], b"", &first), moody("second", &open[1], b"x", &second)];
    pipeline.set_stages(stages, PATIENCE).await.unwrap();
    for payload in ["a", "x", "c"] {
        pipeline.ingest(from_radio(&pipeline, "t", payload)).await.unwrap();
    }
    until(|| first.counts().waiting == 3).await;
    open[0].store(true, Ordering::Relaxed);
    until(|| second.counts().waiting == 3).await;
    assert_eq!((first.counts().bytes, second.counts().bytes), (HELD_MIN_BYTES, 2 * HELD_MIN_BYTES));
    assert_eq!((ledger(&pipeline).held, ledger(&pipeline).dropped_total()), (3, 0));
    until(|| kept.held.lock().unwrap().len() == 3).await;
    // Whoever has no room yet gets none.
    pipeline.ingest(from_radio(&pipeline, "t", "d")).await.unwrap();
    until(|| ledger(&pipeline).dropped["held-full"] == 1).await;
    open[1].store(true, Ordering::Relaxed);
    for expected in ["t=a", "t=c"] {
        let next = tokio::time::timeout(PATIENCE, delivered.recv()).await.unwrap().unwrap();
        assert_eq!(shown(&next.message), expected);
    }
    until(|| ledger(&pipeline).held == 1 && ledger(&pipeline).in_flight == 0).await;
    assert_eq!((first.counts().bytes, second.counts()), (0, ShelfCounts { waiting: 0, apart: 1, bytes: 256 }));
}

#[tokio::test]
async fn messages_that_grow_on_their_way_wait_until_those_before_them_have_left_the_later_shelf() {
    const LEFT: usize = BATCH + 10;
    let (pipeline, mut delivered) = Pipeline::new(1);
    let kept = || Box::new(Keeps(Arc::default()));
    let first = pipeline.shelf(kept(), LEFT * HELD_MIN_BYTES, left(&pipeline, LEFT));
    let second = pipeline.shelf(kept(), 0, Vec::new());
    let open = Arc::new(AtomicBool::new(false));
    let grows = rule("grows", "#", |m| Verdict::Modify(Message { payload: vec![b'a'; 100_000].into(), ..m.clone() }));
    let moody = Moody { open: Arc::clone(&open), hates: b"", asked: Arc::default() };
    let stages = vec![
        Stage { shelf: Some(Arc::clone(&first)), ..grows },
        Stage { shelf: Some(Arc::clone(&second)), ..stage("moody", "#", moody) },
    ];
    pipeline.set_stages(stages, PATIENCE).await.unwrap();
    until(|| second.counts().waiting == BATCH).await;
    assert_eq!(first.counts().waiting, LEFT - BATCH);
    open.store(true, Ordering::Relaxed);
    for _ in 0..LEFT {
        tokio::time::timeout(PATIENCE, delivered.recv()).await.unwrap().unwrap();
    }
    until(|| ledger(&pipeline).in_flight == 0).await;
    assert_eq!((first.counts(), second.counts()), <(ShelfCounts, ShelfCounts)>::default());
    assert_eq!(ledger(&pipeline).dropped_total(), 0);
}

/// Two stages, both with a shelf, of which one can judge nothing; it holds a message. Then they change places, and it can.
/// Gives how often the other was asked about the message.
async fn change_places(shut: usize) -> u64 {
    let (pipeline, mut delivered) = Pipeline::new(1);
    let shelf = || pipeline.shelf(Box::new(Keeps(Arc::default())), 1 << 20, Vec::new());
    let shelves = [shelf(), shelf()];
    let open = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));
    let moody = |at: usize| match at == shut {
        true => Moody { open: Arc::clone(&open), hates: b"", asked: Arc::default() },
        false => Moody { open: Arc::new(AtomicBool::new(true)), hates: b"", asked: Arc::clone(&asked) },
    };
    let names = ["first", "second"];
    let place = |at: usize| Stage { shelf: Some(Arc::clone(&shelves[at])), ..stage(names[at], "#", moody(at)) };
    pipeline.set_stages(vec![place(0), place(1)], PATIENCE).await.unwrap();
    pipeline.ingest(from_radio(&pipeline, "t", "a")).await.unwrap();
    until(|| shelves[shut].counts().waiting == 1).await;
    let stays = |at: usize| Stage { processor: None, ..place(at) };
    pipeline.set_stages(vec![stays(1), stays(0)], PATIENCE).await.unwrap();
    open.store(true, Ordering::Relaxed);
    let next = tokio::time::timeout(PATIENCE, delivered.recv()).await.unwrap().unwrap();
    assert_eq!(shown(&next.message), "t=a");
    until(|| ledger(&pipeline).in_flight == 0).await;
    assert_eq!(ledger(&pipeline).held, 0);
    asked.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_held_message_meets_no_stage_twice_that_has_come_behind_the_one_that_holds_it() {
    assert_eq!(change_places(1).await, 1);
}

#[tokio::test]
async fn a_held_message_meets_a_stage_that_has_come_before_the_one_that_holds_it() {
    assert_eq!(change_places(0).await, 1);
}

#[tokio::test]
async fn where_what_is_held_at_several_stages_comes_together_the_order_stays() {
    let (pipeline, mut delivered) = Pipeline::new(1);
    let shelf = |left| pipeline.shelf(Box::new(Keeps(Arc::default())), 1 << 20, left);
    let kept = |payload, behind: &[&str]| {
        let behind = behind.iter().map(|name| Arc::from(*name)).collect();
        let message = Arc::new(from_radio(&pipeline, "t", payload));
        (1, Kept { message, held: Held::Waits, behind: Some(behind) })
    };
    // They stood in the order b, c, a.
    let shelves = [
        shelf(vec![kept("a", &["b", "c"])]),
        shelf(vec![kept("c", &[]), kept("d", &[])]),
        shelf(vec![kept("b", &["b"])]),
    ];
    let asked = Arc::new(Mutex::new(Vec::new()));
    let stage = |at: usize, name: &'static str| {
        let asked = Arc::clone(&asked);
        let notes = move |m: &Message| {
            asked.lock().unwrap().push(format!("{name}{}", std::str::from_utf8(&m.payload).unwrap()));
            Verdict::Pass
        };
        Stage { shelf: Some(Arc::clone(&shelves[at])), ..rule(name, "#", notes) }
    };
    pipeline.set_stages(vec![stage(0, "a"), stage(1, "b"), stage(2, "c")], PATIENCE).await.unwrap();
    let mut came = Vec::new();
    while came.len() < 4 {
        let next = tokio::time::timeout(PATIENCE, delivered.recv()).await.unwrap().unwrap();
        came.push(shown(&next.message));
    }
    assert_eq!(came, ["t=a", "t=b", "t=c", "t=d"]);
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    assert_eq!(asked, ["aa", "ab", "ac", "ad", "bc", "bd", "cb", "cc", "cd"]);
}
