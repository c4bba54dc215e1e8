use std::time::Duration;

use proptest::prelude::*;

use super::*;

const TEN: Duration = Duration::from_secs(10);

fn chart<'a>(title: &'a str, unit: Unit, lines: &'a [Line<'a>]) -> LineChart<'a> {
    LineChart { id: "c", title, unit, step: TEN, lines }
}

/// A made-up hour: something periodic with noise, and two gaps.
fn hour(seed: u64, base: f32, swing: f32) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let point = |at: usize| {
        let wave = (at as f32 / 40.0).sin() * swing + (random.f32() - 0.5) * swing;
        if (100..130).contains(&at) || at == 200 { f32::NAN } else { base + wave }
    };
    (0..360).map(point).collect()
}

/// Writes a picture with its style to `target/charts`, for looking at.
fn keep(name: &str, svg: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/charts");
    std::fs::create_dir_all(&folder).unwrap();
    // By itself it needs what a page's own pictures do without.
    let alone = svg.replacen("<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"", 1);
    let styled = alone.replacen("<title", &format!("<style>{CSS}</style><title"), 1);
    std::fs::write(folder.join(name), styled).unwrap();
}

fn is_sound(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
    assert!(!svg.contains("style=") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
}

#[test]
fn pictures_are_small_sound_and_to_be_looked_at() {
    let (one, two) = (hour(1, 40.0, 12.0), hour(2, 20.0, 18.0));
    let rates = [Line { name: "received", points: &one }];
    let svg = chart("Messages", Unit::PerSecond, &rates).svg();
    is_sound(&svg);
    assert!(svg.len() < 6000, "{} bytes", svg.len());
    keep("rate.svg", &svg);
    let two: Vec<f32> = two.iter().map(|point| if point.is_nan() { *point } else { point.max(0.0) }).collect();
    let flat = vec![3.0; 360];
    let lines = [rates[0], Line { name: "delivered", points: &two }, Line { name: "in flight", points: &flat }];
    keep("lines.svg", &chart("Messages", Unit::PerSecond, &lines).svg());
    let rssi = hour(3, -97.0, 6.0);
    keep("rssi.svg", &chart("Signal strength", Unit::Dbm, &[Line { name: "roof", points: &rssi }]).svg());
    let bytes: Vec<f32> = (0..576).map(|at| if at < 300 { 0.0 } else { (at - 300) as f32 * 40_000.0 }).collect();
    let lines = [Line { name: "cloud", points: &bytes }];
    let days = LineChart { step: Duration::from_secs(300), ..chart("Waiting", Unit::Bytes, &lines) };
    keep("queue.svg", &days.svg());
    let nothing = vec![f32::NAN; 360];
    keep("nothing.svg", &chart("Nothing", Unit::Count, &[Line { name: "x", points: &nothing }]).svg());
    let many: Vec<Line<'_>> =
        (0..9).map(|_| Line { name: "a radio whose name is very long indeed", points: &flat }).collect();
    let svg = chart("Many", Unit::Count, &many).svg();
    assert!(svg.contains("and 3 more") && !svg.contains("s7"), "{svg}");
    keep("many.svg", &svg);
}

#[test]
fn bars_are_small_sound_and_to_be_looked_at() {
    let count = |at: i32| (1000.0 * (-f64::from((at - 9).pow(2)) / 12.0).exp()) as u64;
    let range = |at: i32| {
        let (from, to) = ((at > 0).then_some(-135 + 5 * at), (at < 20).then_some(-130 + 5 * at));
        Bar::of_range(from, to, Unit::Dbm, count(at))
    };
    let bars: Vec<Bar> = (0..21).map(range).collect();
    let chart = BarChart {
        id: "b",
        title: "Signal strength",
        kind: "Strength",
        measure: "Frames",
        unit: Unit::Count,
        bars: &bars,
    };
    let svg = chart.svg();
    is_sound(&svg);
    assert!(svg.len() < 4000, "{} bytes", svg.len());
    keep("rssi-bars.svg", &svg);
    let table = chart.table();
    assert_eq!(table.rows.len(), 21);
    assert_eq!((table.rows[0][0].as_str(), table.rows[1][0].as_str()), ("below -130 dBm", "-130 dBm to -125 dBm"));
    let factors: Vec<Bar> = [(7, 812.0), (8, 90.0), (9, 44.0), (10, 30.0), (11, 0.0), (12, 1.0)]
        .map(|(factor, value)| Bar::new(format!("SF{factor}"), value))
        .into();
    keep("sf.svg", &BarChart { bars: &factors, title: "Spreading factors", kind: "Factor", ..chart }.svg());
    let empty = BarChart { bars: &[], ..chart };
    is_sound(&empty.svg());
    assert!(empty.svg().contains("Nothing yet"));
}

#[test]
fn a_gap_breaks_the_line_and_a_point_alone_is_a_dot() {
    let points = [1.0, 2.0, f32::NAN, 2.0, f32::NAN, 1.0, 1.0];
    let svg = chart("x", Unit::Count, &[Line { name: "x", points: &points }]).svg();
    let path = svg.split("class=\"line s1\" d=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(path, "M364 210l175-160M887 50h0M1236 210h174");
    assert!(svg.contains("x: from 1 to 2, last 1; unknown for 20 s"), "{svg}");
}

#[test]
fn ticks_are_round_and_cover_all_values() {
    let ticks = |unit, values: &[f64]| {
        let scale = scale::Scale::of(unit, values.iter().copied());
        scale.ticks().map(|tick| scale.word(tick)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ticks(Unit::PerSecond, &[0.3, 47.0]), "0/s 10/s 20/s 30/s 40/s 50/s");
    assert_eq!(ticks(Unit::PerSecond, &[0.07]), "0/s 0.02/s 0.04/s 0.06/s 0.08/s");
    assert_eq!(ticks(Unit::PerSecond, &[2300.0]), "0/s 500/s 1 k/s 1.5 k/s 2 k/s 2.5 k/s");
    assert_eq!(ticks(Unit::Count, &[1.0]), "0 1");
    assert_eq!(ticks(Unit::Bytes, &[11_000_000.0]), "0 B 4 MiB 8 MiB 12 MiB");
    assert_eq!(ticks(Unit::Seconds, &[500.0]), "0 s 120 s 4 min 6 min 8 min 10 min".replace("120 s", "2 min"));
    assert_eq!(ticks(Unit::Dbm, &[-112.0, -71.0]), "-120 -110 -100 -90 -80 -70 dBm");
    assert_eq!(ticks(Unit::Celsius, &[48.3, 48.3]), "47 47.5 48 48.5 49 49.5 °C");
    assert_eq!(ticks(Unit::Decibel, &[]), "0 0.2 0.4 0.6 0.8 1 dB");
}

#[test]
fn values_are_written_with_the_digits_that_are_worth_reading() {
    for (unit, value, word) in [
        (Unit::PerSecond, 0.0123, "0.012/s"),
        (Unit::PerSecond, 12.34, "12.3/s"),
        (Unit::PerSecond, 1534.0, "1.5 k/s"),
        (Unit::Count, 1_234_567.0, "1.2 M"),
        (Unit::Bytes, 1536.0, "1.5 KiB"),
        (Unit::Seconds, 90.0, "90 s"),
        (Unit::Seconds, 5400.0, "90 min"),
        (Unit::Seconds, 172_800.0, "48 h"),
        (Unit::Dbm, -97.26, "-97.3 dBm"),
        (Unit::Celsius, -0.0, "0 °C"),
        (Unit::Count, 1e30, "1.0e12 E"),
    ] {
        assert_eq!(unit.word(value), word, "{value}");
    }
}

#[test]
fn the_table_has_the_newest_first_and_says_what_is_not_known() {
    let (points, short) = (hour(1, 40.0, 0.0), [7.0]);
    let lines = [Line { name: "<b>", points: &points }, Line { name: "new", points: &short }];
    let table = chart("A & B", Unit::PerSecond, &lines).table();
    assert_eq!(table.head, ["Time (means of 60 s)", "<b>", "new"]);
    assert_eq!(table.rows.len(), 60);
    assert_eq!(table.rows[0], ["now", "40/s", "7/s"]);
    assert_eq!(table.rows[1], ["60 s ago", "40/s", "unknown"]);
    assert_eq!(table.rows[40][1], "unknown");
    let html = table.html();
    assert!(
        html.contains("<caption>A &amp; B</caption>") && html.contains("<th scope=\"col\">&lt;b&gt;</th>"),
        "{html}"
    );
}

#[test]
fn text_from_outside_stays_text() {
    let lines = [Line { name: "\"><script>", points: &[1.0] }, Line { name: "\u{0}'&", points: &[2.0] }];
    let svg = LineChart { id: "\"x", ..chart("</title><script>", Unit::Count, &lines) }.svg();
    is_sound(&svg);
    assert!(!svg.contains("<script>"), "{svg}");
}

#[test]
fn one_value_has_a_scale_around_it_however_large_it_is() {
    for value in [0.0, -97.5, 3.384_063_8e16, f32::MAX, f32::MIN] {
        let lines = [Line { name: "x", points: &[value] }];
        is_sound(&chart("x", Unit::Dbm, &lines).svg());
    }
}

proptest! {
    #[test]
    fn any_points_make_a_sound_picture_and_a_bounded_table(
        lines in prop::collection::vec(prop::collection::vec(prop::num::f32::ANY, 0..50), 0..9),
        unit in prop::sample::select(vec![Unit::Count, Unit::PerSecond, Unit::Bytes, Unit::Seconds, Unit::Dbm]),
        step in 0_u64..1_000_000,
    ) {
        let lines: Vec<Line<'_>> = lines.iter().map(|points| Line { name: "x", points }).collect();
        let chart = LineChart { step: Duration::from_secs(step), ..chart("x", unit, &lines) };
        is_sound(&chart.svg());
        prop_assert!(chart.svg().len() < 20_000 && chart.table().rows.len() <= 60);
    }
}

fn rsrp() -> Metric {
    Metric { name: "RSRP", unit: Unit::Dbm, limits: [-80.0, -90.0, -100.0, -110.0] }
}

fn map(grid: &Grid) -> MapChart<'_> {
    MapChart { id: "m", title: "RSRP by place", metric: rsrp(), grid }
}

#[test]
fn many_values_become_few_cells_with_their_median_and_least() {
    let mut grid = Grid::new(100);
    for n in 0..10_000 {
        grid.add(51.0 + f64::from(n % 100) * 0.001, f64::from(n / 100) * 0.001, -90.0 - f64::from(n % 3));
    }
    assert!(grid.spots().count() <= 100 && grid.count() == 10_000);
    let mut one = Grid::new(10);
    for value in [-80.0, -100.0, -90.5, -70.0] {
        one.add(51.0, 0.0, value);
    }
    let spot = one.spots().next().unwrap();
    assert_eq!((spot.median(), spot.least(), spot.count), (-90.5, -100.0, 4));
    assert_eq!(grid.thinned(1).spots().map(|spot| spot.count).sum::<u64>(), 10_000);
    for (lat, lon, value) in [(91.0, 0.0, 0.0), (0.0, 181.0, 0.0), (0.0, 0.0, f64::NAN), (f64::INFINITY, 0.0, 0.0)] {
        one.add(lat, lon, value);
    }
    assert_eq!(one.count(), 4, "what is nowhere or nothing is left out");
}

#[test]
fn a_map_is_sound_wherever_it_is_and_its_classes_have_shapes() {
    for (lat, lon, apart) in
        [(51.5, -0.13, 0.01), (0.0, 179.999, 0.004), (-89.99, 10.0, 0.005), (51.5, 0.0, 0.0), (0.0, 0.0, 80.0)]
    {
        let mut grid = Grid::new(500);
        for n in 0..50 {
            let lon: f64 = lon + f64::from(n) * apart / 50.0;
            let lon = if lon > 180.0 { lon - 360.0 } else { lon };
            grid.add(lat, lon, -70.0 - f64::from(n));
        }
        let svg = map(&grid).svg();
        is_sound(&svg);
        assert!(svg.contains(" m</text>") || svg.contains(" km</text>"), "{svg}");
        assert!(svg.len() < 40_000);
        for number in svg.split("d=\"M").skip(1).filter_map(|rest| rest.split([' ', 'h']).next()) {
            assert!((0.0..=1440.0).contains(&number.parse::<f64>().unwrap()), "{number} in {svg}");
        }
    }
    let mut grid = Grid::new(500);
    [-70.0, -85.0, -95.0, -105.0, -120.0]
        .into_iter()
        .zip(0..)
        .for_each(|(value, n)| grid.add(51.0, f64::from(n) * 0.01, value));
    let svg = map(&grid).svg();
    for class in 1..=5 {
        assert_eq!(svg.matches(&format!("class=\"spot q{class}\"")).count(), 2, "once on the map, once below");
    }
    assert!(
        svg.contains("-80 dBm and better (1)")
            && svg.contains("-90 to -80 dBm (1)")
            && svg.contains("below -110 dBm (1)")
    );
    keep("map.svg", &svg);
    let rows = map(&grid).table().rows;
    assert_eq!(rows[0], ["51.00000, 0.04000", "-120 dBm", "-120 dBm", "1", "cross"]);
    let nothing = map(&Grid::new(10)).svg();
    is_sound(&nothing);
    assert!(nothing.contains("no position is known"));
}
