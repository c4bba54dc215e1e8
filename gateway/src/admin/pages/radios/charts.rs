//! The charts of a radio, of what the history and the radio itself have counted.

use crate::admin::Sources;
use crate::admin::pages::charts::{Back, Drawn, drawn};
use crate::chart::{Bar, BarChart, Unit};
use crate::radio::{InRange, Shown};

/// All that a radio has.
pub(super) fn draw(sources: &Sources, radio: &Shown, back: Back) -> Vec<Drawn> {
    let draw = Draw { sources, radio, back };
    let mut all = vec![draw.lines(
        "frames",
        "Frames",
        Unit::PerSecond,
        &[("received", "received"), ("dropped", "rejected"), ("sent", "sent")],
    )];
    if !radio.hears_lora() {
        return all;
    }
    let (heard, by) = (radio.stats.signals.counts(), "since the radio was started");
    all.push(draw.lines("rssi", "Signal strength (RSSI), mean", Unit::Dbm, &[("RSSI", "rssi")]));
    all.push(draw.lines("snr", "Signal to noise (SNR), mean", Unit::Decibel, &[("SNR", "snr")]));
    let megahertz = |hertz: &str| match hertz.parse::<f64>() {
        Ok(hertz) if hertz > 0.0 => format!("{} MHz", hertz / 1e6),
        _ => "others".to_owned(),
    };
    all.push(draw.counted("channel", ("Frames by channel", "Channel"), megahertz));
    all.push(draw.counted("sf", ("Frames by spreading factor", "Spreading factor"), |factor| format!("SF{factor}")));
    all.push(ranges("by-rssi", (format!("Frames by signal strength, {by}"), "RSSI"), Unit::Dbm, heard.by_rssi()));
    all.push(ranges("by-snr", (format!("Frames by signal to noise, {by}"), "SNR"), Unit::Decibel, heard.by_snr()));
    all
}

struct Draw<'a> {
    sources: &'a Sources,
    radio: &'a Shown,
    back: Back,
}

impl Draw<'_> {
    fn series(&self, rest: &str) -> String {
        format!("radio/{}/{rest}", self.radio.name())
    }

    /// Lines of series, each with its name.
    fn lines(&self, id: &str, title: &str, unit: Unit, series: &[(&str, &str)]) -> Drawn {
        let series: Vec<_> = series.iter().map(|(name, rest)| (*name, self.series(rest))).collect();
        drawn(&self.sources.history, self.back, (id, title, unit), &series)
    }

    /// A bar for each series of this kind, with what it has counted in the span.
    fn counted(&self, id: &str, (title, kind): (&str, &str), name: impl Fn(&str) -> String) -> Drawn {
        let prefix = self.series(&format!("{id}/"));
        let mut found = self.sources.history.below(&prefix);
        found.sort_by_key(|number| number.parse::<u32>().unwrap_or(u32::MAX));
        let bar = |number: &String| {
            let counted = self.sources.history.counted(&format!("{prefix}{number}"), self.back.span()).round();
            let name = name(number);
            Bar { label: name.trim_end_matches(" MHz").to_owned(), name, value: counted }
        };
        bars(id, (title.to_owned(), kind), &found.iter().map(bar).collect::<Vec<_>>())
    }
}

fn ranges(id: &str, names: (String, &str), unit: Unit, ranges: Vec<InRange>) -> Drawn {
    let bar = |range: InRange| Bar::of_range(range.from, range.to, unit, range.count);
    bars(id, names, &ranges.into_iter().map(bar).collect::<Vec<_>>())
}

fn bars(id: &str, (title, kind): (String, &str), bars: &[Bar]) -> Drawn {
    Drawn::from(&BarChart { id, title: &title, kind, measure: "Frames", unit: Unit::Count, bars })
}
