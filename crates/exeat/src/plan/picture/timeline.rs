//! The time plan: from the letter to the deadline, with what applying takes; and what fires later by itself.

use policy::plan::{Firing, InstrumentTimes, Report};
use terms::Moment;

use super::{
    super::words,
    svg::{Svg, WIDTH, breadth, fitted, scale},
};

const LANE: u64 = 92;
/// Later moments that are drawn; the table has the rest.
const LATER: usize = 8;

/// The span of time that is drawn to scale.
#[derive(Clone, Copy, Debug)]
struct Axis {
    from: Moment,
    to: Moment,
}

/// Draws a lane for each instrument that changes, and a line for each later moment.
pub(super) fn timeline(report: &Report) -> Option<Svg> {
    let schedule = &report.schedule;
    if schedule.instruments.is_empty() && schedule.moments.is_empty() {
        return None;
    }
    let described: Vec<String> = schedule.instruments.iter().map(|times| in_words(times, report.at)).collect();
    let mut svg = Svg::new("time-plan", "From the letter to the deadline, in UTC", described.join(" "));
    let mut y = 44;
    for times in &schedule.instruments {
        lane(&mut svg, y, times, report.at);
        y += LANE;
    }
    later(&mut svg, y + 10, &schedule.moments);
    Some(svg)
}

impl Axis {
    fn of(times: &InstrumentTimes, at: Moment) -> Self {
        let all = [times.received_at, Some(times.effective_at), times.comply_by, Some(at)];
        let known = || all.iter().flatten().copied();
        Self { from: known().min().unwrap_or(at), to: known().max().unwrap_or(at) }
    }

    fn place(self, at: Moment) -> u64 {
        scale(millis(at, self.from), millis(self.to, self.from), WIDTH - 2)
    }
}

fn millis(later: Moment, earlier: Moment) -> u64 {
    u64::try_from(later.since(earlier).as_millis()).unwrap_or(u64::MAX)
}

fn lane(svg: &mut Svg, y: u64, times: &InstrumentTimes, at: Moment) {
    let axis = Axis::of(times, at);
    let due = times.comply_by.unwrap_or(times.effective_at);
    svg.text(0, y + 6, "pv-name", times.id.as_str());
    svg.text(breadth(times.id.as_str()) + 20, y + 6, "pv-quiet", &measured(times));
    svg.rect(0, y + 20, WIDTH, 18, "pv-track");
    let took = times.apply_and_cut_ms.unwrap_or(0);
    let begin = axis.place(at);
    let length = scale(took, millis(axis.to, axis.from), WIDTH.saturating_sub(begin)).max(4);
    svg.rect(begin, y + 20, axis.place(due).saturating_sub(begin), 18, "pv-left");
    svg.rect(begin, y + 20, length, 18, "pv-deny");
    let marks = [
        (times.received_at, "received"),
        (Some(times.effective_at), "effective"),
        (Some(at), "applied"),
        (times.comply_by, "comply by"),
    ];
    marked(svg, y, axis, &marks);
}

/// Writes each moment once, with all that it is, below the track; two rows, so that neighbors do not touch.
fn marked(svg: &mut Svg, y: u64, axis: Axis, marks: &[(Option<Moment>, &str)]) {
    let mut moments: Vec<(Moment, String)> = Vec::new();
    for (at, what) in marks.iter().filter_map(|(at, what)| Some(((*at)?, *what))) {
        match moments.iter_mut().find(|(known, _)| *known == at) {
            Some((_, words)) => words.push_str(&format!(", {what}")),
            None => moments.push((at, what.to_owned())),
        }
    }
    moments.sort();
    let mut free = [0, 0];
    for (at, what) in moments {
        let label = format!("{} {what}", stamp(axis, at));
        let x = axis.place(at);
        let is_right = x + breadth(&label) > WIDTH;
        let begin = if is_right { WIDTH.saturating_sub(breadth(&label)) } else { x };
        let row = usize::from(free.first().is_some_and(|first| *first > begin));
        svg.line((x + 1, y + 16), (x + 1, y + 42), "pv-mark");
        let below = if row == 0 { y + 58 } else { y + 76 };
        let (from, class) = if is_right { (WIDTH, "pv-end") } else { (x, "") };
        svg.text(from, below, class, &label);
        if let Some(free) = free.get_mut(row) {
            *free = begin + breadth(&label) + 10;
        }
    }
}

/// The time of day alone if all is on one day.
fn stamp(axis: Axis, at: Moment) -> String {
    if words::day(axis.from) == words::day(axis.to) {
        return words::time(at);
    }
    words::moment(at)
}

fn measured(times: &InstrumentTimes) -> String {
    let took = times.apply_and_cut_ms.map(|took| format!("applying and cutting takes {}", words::span(took)));
    let left = times.margin_ms.map(words::margin);
    let parts: Vec<String> = took.into_iter().chain(left).collect();
    if parts.is_empty() { "applying was not measured".to_owned() } else { parts.join(", ") }
}

fn in_words(times: &InstrumentTimes, at: Moment) -> String {
    let due = times.comply_by.map_or_else(String::new, |due| format!(", comply by {}", words::moment(due)));
    let (id, effective) = (&times.id, words::moment(times.effective_at));
    format!("{id}: effective {effective}, applied {}{due}; {}.", words::moment(at), measured(times))
}

fn later(svg: &mut Svg, mut y: u64, moments: &[Firing]) {
    if moments.is_empty() {
        return;
    }
    svg.text(0, y, "pv-name", "Later, by itself");
    for firing in moments.iter().take(LATER) {
        y += 24;
        svg.rect(2, y - 9, 9, 9, "pv-permit");
        svg.text(22, y, "", &words::moment(firing.at));
        svg.text(190, y, "", &fitted(&words::spaced(&firing.what.join(", ")), 390));
        svg.text(WIDTH, y, "pv-quiet pv-end", &effect(firing));
    }
    if let Some(more) = moments.len().checked_sub(LATER).filter(|more| *more > 0) {
        svg.text(22, y + 24, "pv-quiet", &format!("and {more} more"));
    }
}

fn effect(firing: &Firing) -> String {
    let (Some(losing), Some(gaining)) = (firing.losing, firing.gaining) else {
        return "not decided".to_owned();
    };
    match (losing.keys, gaining.keys) {
        (0, 0) => "nobody loses or gains".to_owned(),
        (lost, gained) => {
            format!("{} lose, {gained} gain", words::of(lost, "key", "keys"), gained = words::count(gained))
        }
    }
}
