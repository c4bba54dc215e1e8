//! The router's promises, on which the front rests.

use super::*;

async fn window(link: &mut RouterLink) -> Vec<(usize, FilterId)> {
    link.flush().unwrap();
    let mut seen = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_secs(20), link.next()).await.unwrap().unwrap() {
            Arrival::Match { slot, filter } => seen.push((slot, filter)),
            Arrival::Barrier => return seen,
        }
    }
}

#[tokio::test]
async fn every_ticket_of_a_full_window_comes_back_before_its_barrier_for_each_filter_that_matches() {
    let mut link = RouterLink::start().await.unwrap();
    let long = "x".repeat(65_535);
    let filters = ["#", "a/+", "a/1", "Ä/#", "$SYS/#", &long, "b"];
    for (i, filter) in filters.iter().enumerate() {
        link.subscribe(filter, i + 1);
    }
    for round in 0..50 {
        for slot in 0..SLOTS {
            let topic = [format!("a/{slot}"), "Ä/ü".into(), "$SYS/up".into(), long.clone()][slot % 4].clone();
            link.publish(&topic, slot);
        }
        let seen = window(&mut link).await;
        let count = |id| seen.iter().filter(|(_, f)| *f == id).count();
        let counts: Vec<_> = (1..=filters.len()).map(count).collect();
        // `#` sees everything here: that it leaves `$` topics out is for whoever hands the messages on.
        assert_eq!(counts, [SLOTS, SLOTS / 4, 0, SLOTS / 4, SLOTS / 4, SLOTS / 4, 0], "round {round}");
    }
}

#[tokio::test]
async fn an_unsubscribed_filter_matches_no_more_and_a_new_one_matches_known_topics() {
    let mut link = RouterLink::start().await.unwrap();
    link.subscribe("a", 1);
    link.publish("a", 7);
    assert_eq!(window(&mut link).await, [(7, 1)]);
    link.unsubscribe("a");
    link.subscribe("+", 2);
    link.publish("a", 8);
    assert_eq!(window(&mut link).await, [(8, 2)]);
    link.subscribe("a", 3);
    link.publish("a", 9);
    let mut seen = window(&mut link).await;
    seen.sort_unstable();
    assert_eq!(seen, [(9, 2), (9, 3)]);
}

#[tokio::test]
async fn many_filters_at_once_lose_nothing() {
    let mut link = RouterLink::start().await.unwrap();
    for id in 1..=500 {
        link.subscribe(&format!("+/{id}/#"), id);
    }
    for round in 0..5 {
        for slot in 0..SLOTS {
            link.publish(&format!("x/{}/y", slot + 1), slot);
        }
        let mut seen = window(&mut link).await;
        seen.sort_unstable();
        assert_eq!(seen, (0..SLOTS).map(|slot| (slot, slot + 1)).collect::<Vec<_>>(), "round {round}");
    }
}

fn router_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter(|t| std::fs::read_to_string(t.path().join("comm")).is_ok_and(|c| c.trim() == ROUTER_THREAD)).count()
}

#[tokio::test]
async fn a_dropped_link_ends_its_routers_thread() {
    let mut links = Vec::new();
    for _ in 0..8 {
        links.push(RouterLink::start().await.unwrap());
    }
    assert!(router_threads() >= 8);
    drop(links);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    // Tests beside this one have a router each as well.
    while router_threads() >= 8 {
        assert!(std::time::Instant::now() < deadline, "{} router threads are left", router_threads());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn no_barrier_overtakes_when_the_links_buffer_fills_up_at_it() {
    // So many matches in a window that the barrier is the one that fills the buffer, and their neighbours.
    for (filters, tickets) in [(6, 33), (9, 22), (11, 18), (18, 11), (33, 6), (4, 49), (4, 50), (5, 40), (60, 60)] {
        let mut link = RouterLink::start().await.unwrap();
        // Distinct filters that all match `a/a/a/a/a/a`.
        for id in 1..=filters {
            let levels: Vec<&str> = (0..6).map(|bit| if id >> bit & 1 == 1 { "+" } else { "a" }).collect();
            link.subscribe(&levels.join("/"), id);
        }
        for round in 0..200 {
            for slot in 0..tickets {
                link.publish("a/a/a/a/a/a", slot);
            }
            assert_eq!(window(&mut link).await.len(), filters * tickets, "{filters} x {tickets}, round {round}");
            // The hub's loop looks once between two windows.
            let next = link.next();
            tokio::select! { biased; early = next => panic!("{early:?}"), () = std::future::ready(()) => {} }
        }
    }
}

#[tokio::test]
async fn what_a_router_may_hold_wears_it_whether_in_topics_tickets_or_filters() {
    let long = "x".repeat(60_000);
    let mut link = RouterLink::start().await.unwrap();
    for _ in 0..400 {
        link.publish(&long, 0);
    }
    assert!(link.is_worn(), "long topics");
    let mut link = RouterLink::start().await.unwrap();
    for id in 1..=300 {
        link.subscribe(&id.to_string(), id);
        link.unsubscribe(&id.to_string());
    }
    assert!(link.is_worn() && link.backlog() == 600, "filters that come and go");
}
