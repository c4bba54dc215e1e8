//! The map of coverage, as people see it.

use rumqttc::QoS;
use serde_json::json;
use stile_tests::{Browser, Client, Stile, Visitor};

use crate::browser::{fits_everybody, url};

/// A drive round a mast, with a stretch that hears little.
fn drive(stile: &Stile) {
    let client = Client::connect(stile.mqtt, "modem");
    for n in 0..400_u32 {
        let angle = f64::from(n) / 400.0 * std::f64::consts::TAU;
        let far = 1.0 + 0.6 * (2.0 * angle).cos();
        let (lat, lon) = (51.5025 + 0.008 * far * angle.sin(), -0.1347 + 0.016 * far * angle.cos());
        let rsrp = (-72.0 - 24.0 * far + 4.0 * (17.0 * angle).sin()).round();
        let signal = json!({ "radio": "wwan", "seq": n, "technology": "nr-sa", "nr": { "rsrp": rsrp, "rsrq": -11, "sinr": 9 },
            "position": { "lat": lat, "lon": lon, "quality": "fix", "source": "gps" } });
        client.publish("cellular/wwan/signal", QoS::AtLeastOnce, false, signal.to_string());
    }
}

#[test]
fn the_map_is_accessible_in_both_themes_fits_into_every_width_and_needs_no_script() {
    let stile = Stile::start("");
    drive(&stile);
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/measurements"));
    browser.wait_text("400 readings have a place");
    fits_everybody(&browser, "measurements-map");
    browser.scripts(false);
    browser.open(&url(&stile, "/measurements?modem=wwan&metric=sinr&span=6h"));
    browser.wait_text("SINR by place");
    browser.click("figure details summary");
    browser.wait_text("Latitude, longitude");
    // What looks for faults is a script itself.
    browser.scripts(true);
    fits_everybody(&browser, "measurements-table");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}
