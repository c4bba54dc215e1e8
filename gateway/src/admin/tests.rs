//! The tables: of routes, and of what the API says of itself.

use super::*;

/// The routes of a door, without a gateway behind them.
fn table(door: Door) -> Vec<routes::Route> {
    page_routes(Routes::new(door)).into_table()
}

#[test]
fn every_route_of_the_api_is_described_and_no_other() {
    for route in table(Door::Socket) {
        assert!(openapi::is_described(&route), "{route:?}");
    }
}

#[test]
fn what_changes_something_is_open_only_where_somebody_comes_in() {
    let open: Vec<_> = table(Door::Loopback { port: 1 })
        .into_iter()
        .filter(|route| route.needs.is_none() && route.method != routes::Verb::Get)
        .map(|route| route.path)
        .collect();
    assert_eq!(open, ["/setup", "/sign-in", "/look"]);
}
