//! One frame.

use gdas::report::run_data::EpochRow;
use gdas::report::{RunData, TerminalStyle};
use gdas::run::Event;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph};

use super::{Preference, View};

/// Colours of operations, in the order of a table's columns; told apart by their letters, too.
const COLOURS: [Color; 8] =
    [Color::DarkGray, Color::Gray, Color::Cyan, Color::Blue, Color::Yellow, Color::Magenta, Color::Green, Color::Red];
const FIRST: Style = Style::new().fg(Color::Cyan);
const SECOND: Style = Style::new().fg(Color::Yellow);
/// Characters of a bar.
const BAR: usize = 20;

pub(super) fn draw(frame: &mut Frame, view: &View) {
    let preferences = view.preferences();
    let [head, gauge, facts, curves, below, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(8),
        if preferences.is_empty() && view.cells(style(view, 0)).is_empty() {
            Constraint::Length(0)
        } else {
            Constraint::Fill(2)
        },
        Constraint::Length(1),
    ])
    .areas(frame.area());
    heading(frame, view, head);
    let standing = &view.standing;
    let share = Gauge::default().gauge_style(FIRST).ratio(standing.share()).use_unicode(view.unicode);
    let label = format!("step {} of {}", standing.step, standing.steps);
    frame.render_widget(share.label(label), gauge);
    figures(frame, view, facts);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(curves);
    let other = standing.other();
    let data = view.data.as_ref();
    curve(
        frame,
        view,
        "loss",
        &[("training", points(data, Half::Training, Figure::Loss)), (other, points(data, Half::Other, Figure::Loss))],
        left,
    );
    curve(
        frame,
        view,
        "accuracy (%)",
        &[
            ("training", points(data, Half::Training, Figure::Accuracy)),
            (other, points(data, Half::Other, Figure::Accuracy)),
        ],
        right,
    );
    if below.height > 0 {
        let cells = view.cells(style(view, below.width / 2));
        let widths: u16 = if preferences.is_empty() { 0 } else { 100 };
        let [left, right] = Layout::horizontal([Constraint::Percentage(widths / 2), Constraint::Fill(1)]).areas(below);
        bars(frame, &preferences, left);
        frame.render_widget(Paragraph::new(cells).block(Block::bordered().title(" cell ")), right);
    }
    let mut line = vec![" q ".bold(), Span::raw("quit  ")];
    if matches!(standing.status, "running" | "paused") {
        let other = if standing.status == "paused" { "go on  " } else { "pause  " };
        line.extend([" p ".bold(), Span::raw(other), " s ".bold(), Span::raw("save and stop  ")]);
    }
    line.push(Span::raw(view.message.as_str()));
    frame.render_widget(Line::from(line), keys);
}

trait Bold {
    fn bold(self) -> Span<'static>;
}

impl Bold for &'static str {
    fn bold(self) -> Span<'static> {
        Span::styled(self, Style::new().add_modifier(Modifier::REVERSED))
    }
}

fn style(view: &View, width: u16) -> TerminalStyle {
    TerminalStyle { ascii: !view.unicode, colour: false, width: width.saturating_sub(2).into() }
}

fn heading(frame: &mut Frame, view: &View, area: Rect) {
    let standing = &view.standing;
    let what = if standing.task.is_empty() {
        String::new()
    } else {
        format!("  {} on {}, {}  ", standing.task, standing.space, standing.data)
    };
    let line = Line::from(vec![
        Span::styled(view.name(), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(what),
        Span::styled(standing.status, SECOND),
        Span::raw(format!("  epoch {} of {}", standing.epoch, standing.epochs)),
    ]);
    frame.render_widget(line, area);
}

fn figures(frame: &mut Frame, view: &View, area: Rect) {
    // State, epoch and step stand above.
    let fields = view.standing.fields();
    let texts: Vec<String> = fields.iter().skip(3).map(|(_, name, value)| format!("{name} {value}")).collect();
    let half = texts.len().min(4);
    let lines = [&texts[..half], &texts[half..]].map(|part| Line::from(part.join("   ")));
    frame.render_widget(Paragraph::new(lines.to_vec()), area);
}

#[derive(Clone, Copy)]
enum Half {
    Training,
    Other,
}

#[derive(Clone, Copy)]
enum Figure {
    Loss,
    Accuracy,
}

/// One point per epoch; before the second epoch is over, one per logged step.
fn points(data: Option<&RunData>, half: Half, figure: Figure) -> Vec<(f64, f64)> {
    let Some(data) = data else { return vec![] };
    let value: fn(&EpochRow) -> Option<f64> = match (half, figure) {
        (Half::Training, Figure::Loss) => |e| Some(e.train_loss),
        (Half::Training, Figure::Accuracy) => |e| Some(100.0 * e.train_accuracy),
        (Half::Other, Figure::Loss) => |e| e.other_loss,
        (Half::Other, Figure::Accuracy) => |e| e.other_accuracy.map(|a| 100.0 * a),
    };
    let epochs = data.series("", value).points;
    if data.epochs.len() > 1 {
        return epochs;
    }
    let of_step = |event: &Event| match event {
        Event::Step { step, train_loss, train_accuracy, held_out_loss, held_out_accuracy, .. } => {
            let value = match (half, figure) {
                (Half::Training, Figure::Loss) => *train_loss,
                (Half::Training, Figure::Accuracy) => 100.0 * train_accuracy,
                (Half::Other, Figure::Loss) => *held_out_loss,
                (Half::Other, Figure::Accuracy) => 100.0 * held_out_accuracy,
            };
            Some((*step as f64, value))
        }
        _ => None,
    };
    let steps: Vec<_> = data.events.iter().filter_map(of_step).collect();
    if steps.len() > epochs.len() { steps } else { epochs }
}

fn curve(frame: &mut Frame, view: &View, title: &str, lines: &[(&str, Vec<(f64, f64)>); 2], area: Rect) {
    let all = || lines.iter().flat_map(|(_, points)| points).filter(|(_, y)| y.is_finite());
    let range = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) = all().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low < high {
            [low, high]
        } else if low == high {
            [low - 0.5, high + 0.5]
        } else {
            [0.0, 1.0]
        }
    };
    let (x, y) = (range(|p| p.0), range(|p| p.1));
    let marker = if view.unicode { Marker::Braille } else { Marker::Dot };
    let sets = lines.iter().zip([FIRST, SECOND]).filter(|((_, points), _)| !points.is_empty()).map(
        |((name, points), style)| {
            let kind = if points.len() > 1 { GraphType::Line } else { GraphType::Scatter };
            Dataset::default().name(*name).marker(marker).graph_type(kind).style(style).data(points)
        },
    );
    let decimals = usize::from(y[1] - y[0] < 20.0) + usize::from(y[1] - y[0] < 2.0);
    let numbers = |range: [f64; 2], decimals: usize| range.map(|v| format!("{v:.decimals$}"));
    let chart = Chart::new(sets.collect())
        .block(Block::bordered().title(format!(" {title} ")))
        .x_axis(Axis::default().bounds(x).labels(numbers(x, 0)))
        .y_axis(Axis::default().bounds(y).labels(numbers(y, decimals)));
    frame.render_widget(chart, area);
}

/// One line per edge: how the probability is shared, in colours and letters, and what is likeliest.
fn bars(frame: &mut Frame, tables: &[(String, Vec<Preference>)], area: Rect) {
    if tables.is_empty() {
        return;
    }
    let areas = Layout::horizontal(tables.iter().map(|_| Constraint::Fill(1))).split(area);
    for ((name, edges), &area) in tables.iter().zip(areas.iter()) {
        let block = Block::bordered().title(format!(" alpha of the {name} "));
        let room = usize::from(block.inner(area).height);
        let mut lines: Vec<Line> = edges.iter().map(|edge| bar(edge, usize::from(area.width))).collect();
        if lines.len() > room && room > 0 {
            lines.truncate(room - 1);
            lines.push(Line::from(format!("and {} more edges", edges.len() + 1 - room)));
        }
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }
}

fn bar(edge: &Preference, width: usize) -> Line<'static> {
    let (best, p) = edge.best();
    let text = format!(" {best} {p:.2}");
    // The name matters more than the bar.
    let length = BAR.min(width.saturating_sub(10 + text.len()));
    let mut spans = vec![Span::raw(format!("{:7}", edge.edge))];
    let (mut done, mut sum) = (0, 0.0);
    for (k, (name, p)) in edge.operations.iter().enumerate() {
        sum += p;
        let end = ((sum * length as f64).round() as usize).min(length);
        let letter = name.chars().next().unwrap_or(' ');
        let part: String = std::iter::repeat_n(letter, end - done.min(end)).collect();
        spans.push(Span::styled(part, Style::new().fg(Color::Black).bg(COLOURS[k % COLOURS.len()])));
        done = end;
    }
    spans.push(Span::raw(text));
    Line::from(spans)
}
