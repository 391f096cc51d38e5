//! Colours and type, those of the page, for light and dark.

use leakscope_model::{Signal, State};

/// The style sheet.
pub(super) const SHEET: &str = "<style>
text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-variant-numeric:tabular-nums;fill:#566072}
path{fill:none;stroke-linejoin:round;stroke-linecap:round}
.paper{fill:#fff}.name{font-size:17px;font-weight:650;fill:#1a2029}.says{font-size:13px;fill:#1a2029}.small{font-size:11px}.strong{font-weight:600;fill:#1a2029}
.grid{stroke:#e4e8ed}.base{stroke:#8a94a3}.now{stroke:#8a94a3;stroke-dasharray:2 3}
.line{stroke-width:1.2;stroke-opacity:.75}.faint{stroke-width:1;stroke-opacity:.6}.floors{stroke-width:2.5;stroke-linecap:butt}
.rss{stroke:#1d5fd0}.anon_rss{stroke:#7a3fc4}.heap_used{stroke:#b06a00}.heap_after_gc{stroke:#0b7a75}.other{stroke:#566072}
.fit{stroke:#b81d24;stroke-width:2}.forecast{stroke:#b81d24;stroke-width:1.5;stroke-dasharray:6 4}.band{fill:#b81d24;fill-opacity:.16}
.limit{stroke:#1a2029;stroke-width:1.2;stroke-dasharray:8 3 2 3}.meets{stroke:#b81d24;stroke-width:5;stroke-linecap:butt}
.restart{stroke:#566072;stroke-width:1.2;stroke-dasharray:1 3}.foot{fill:#566072}
.alarm{fill:#b81d24;fill-opacity:.08}.raised{stroke:#b81d24;stroke-width:1.5}.cleared{stroke:#1d5fd0;stroke-width:1.5}.bad{fill:#b81d24;font-weight:600}.good{fill:#1d5fd0;font-weight:600}
.doubt{fill:#d98a00;fill-opacity:.13}.score{stroke:#1a2029;stroke-width:1.2}.boundary{stroke:#b81d24;stroke-dasharray:4 3}
.p-leaking{fill:#fdeaea}.p-suspect{fill:#fdf1dc}.p-recovered{fill:#e4eefc}.p-steady{fill:#e3f4ea}.p-too_early{fill:#eceff3}
.t-leaking{fill:#b81d24}.t-suspect{fill:#8a5200}.t-recovered{fill:#1d5fd0}.t-steady{fill:#1a7040}.t-too_early{fill:#566072}
.pill{font-size:13px;font-weight:600}
@media(prefers-color-scheme:dark){
text{fill:#9aa6b6}.paper{fill:#171b21}.name,.says,.strong{fill:#e4e8ee}.grid{stroke:#2a313b}.base,.now{stroke:#6b7787}
.rss{stroke:#6ea8ff}.anon_rss{stroke:#c09bff}.heap_used{stroke:#e8a33d}.heap_after_gc{stroke:#4fd1c5}.other{stroke:#9aa6b6}
.fit,.forecast,.meets,.raised,.boundary{stroke:#ff8a85}.band,.alarm{fill:#ff8a85}.alarm{fill-opacity:.14}.bad{fill:#ff8a85}.cleared{stroke:#7cb0ff}.good{fill:#7cb0ff}
.limit,.score{stroke:#e4e8ee}.restart{stroke:#9aa6b6}.foot{fill:#9aa6b6}.doubt{fill:#f2b84b}
.p-leaking{fill:#3c1b1d}.p-suspect{fill:#382a10}.p-recovered{fill:#1c2d48}.p-steady{fill:#163021}.p-too_early{fill:#232a33}
.t-leaking{fill:#ff8a85}.t-suspect{fill:#f2b84b}.t-recovered{fill:#7cb0ff}.t-steady{fill:#6fcf97}.t-too_early{fill:#9aa6b6}
}
</style>";

/// The class that colours a signal's line.
pub(super) fn class_of(signal: Signal) -> &'static str {
    match signal {
        Signal::Rss | Signal::AnonRss | Signal::HeapUsed | Signal::HeapAfterGc => signal.name(),
        _ => "other",
    }
}

/// The classes of a state's ground and text.
pub(super) fn state_classes(state: State) -> (String, String) {
    (format!("p-{}", state.name()), format!("pill t-{}", state.name()))
}

/// About how wide a text is: 12 px of a proportional font, scaled.
pub(super) fn width_of(text: &str, size: f64) -> f64 {
    text.chars().map(|c| if matches!(c, 'i' | 'l' | '.' | ',' | ' ' | '/') { 0.34 } else { 0.59 }).sum::<f64>() * size
}

/// `text` cut to about `width`, its end gone.
pub(super) fn cut(text: &str, size: f64, width: f64) -> String {
    let kept = fitting(text.chars(), text, size, width);
    if kept == text.chars().count() { text.to_owned() } else { text.chars().take(kept).chain(['…']).collect() }
}

/// `text` cut to about `width`, its beginning gone: of a path the end says more.
pub(super) fn cut_front(text: &str, size: f64, width: f64) -> String {
    let (kept, all) = (fitting(text.chars().rev(), text, size, width), text.chars().count());
    if kept == all { text.to_owned() } else { ['…'].into_iter().chain(text.chars().skip(all - kept)).collect() }
}

/// How many of these characters fit: all of a text that does, else so many that the mark of a cut fits too.
fn fitting(chars: impl Iterator<Item = char>, text: &str, size: f64, width: f64) -> usize {
    if width_of(text, size) <= width {
        return text.chars().count();
    }
    let mut left = width - size;
    chars
        .take_while(|c| {
            left -= width_of(c.encode_utf8(&mut [0; 4]), size);
            left >= 0.0
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_at_either_end() {
        assert_eq!(cut("short", 10.0, 100.0), "short");
        assert_eq!(cut("0123456789", 10.0, 45.0), "01234…");
        assert_eq!(cut_front("0123456789", 10.0, 45.0), "…56789");
        assert_eq!(cut("0123456789", 10.0, 1.0), "…");
    }
}
