//! One frame.

use gdas::run::{Event, StepMetrics};
use gdas_report::{Epoch, RunData, TerminalStyle};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph, Wrap};

use super::{Preference, View};

/// Colours of operations, in the order of a table's columns; also distinguished by their letters.
const COLOURS: [Color; 8] =
    [Color::DarkGray, Color::Gray, Color::Cyan, Color::Blue, Color::Yellow, Color::Magenta, Color::Green, Color::Red];
const FIRST: Style = Style::new().fg(Color::Cyan);
const SECOND: Style = Style::new().fg(Color::Yellow);
/// Characters of a bar.
const BAR: usize = 20;

/// Fewer lines than this make no curve.
const CURVES: u16 = 7;

pub(super) fn draw(frame: &mut Frame, view: &View) {
    let area = frame.area();
    let preferences = view.preferences();
    let figures = figures(view, area.width.into(), if area.height < 16 { 1 } else { 3 });
    // Curves first, then alpha and cell as far as there is room, and no more than they need.
    let (shown, drawn) = (figures.len() as u16, below(view, &preferences, area.width));
    let (remarks, remarked) = remarks(view, area);
    let room = area.height.saturating_sub(3 + shown + remarked + CURVES);
    let [head, gauge, facts, notes, curves, below, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(shown),
        Constraint::Length(remarked),
        Constraint::Fill(1),
        Constraint::Length(if room < 4 { 0 } else { room.min(drawn.height) }),
        Constraint::Length(1),
    ])
    .areas(area);
    heading(frame, view, head);
    let standing = &view.standing;
    let share = Gauge::default().gauge_style(FIRST).ratio(standing.share()).use_unicode(view.unicode);
    let label = match (standing.judging, &standing.whole) {
        (_, Some(_)) => format!("{:.0} % of the time", 100.0 * standing.share()),
        (Some((done, candidates)), None) => format!("judging, {done} of {candidates} cells"),
        (None, None) => format!("step {} of {}", standing.step, standing.steps),
    };
    frame.render_widget(share.label(label), gauge);
    frame.render_widget(Paragraph::new(figures), facts);
    frame.render_widget(Paragraph::new(remarks).wrap(Wrap { trim: true }), notes);
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
        let [left, right] = Layout::horizontal([Constraint::Length(drawn.alphas), Constraint::Fill(1)]).areas(below);
        bars(frame, &preferences, left);
        if right.width > 0 {
            frame.render_widget(Paragraph::new(drawn.cells).block(Block::bordered().title(" cell ")), right);
        }
    }
    let mut line = vec![" q ".bold(), Span::raw("quit  ")];
    if matches!(standing.status, "running" | "paused") {
        let other = if standing.status == "paused" { "go on  " } else { "pause  " };
        line.extend([" p ".bold(), Span::raw(other), " s ".bold(), Span::raw("save and stop  ")]);
    }
    line.push(Span::raw(view.message.as_str()));
    frame.render_widget(Line::from(line), keys);
}

/// Alarms, and why the cell was chosen: a paragraph each, and the lines that they need.
fn remarks(view: &View, area: Rect) -> (Vec<Line<'static>>, u16) {
    if area.height < 16 {
        return (vec![], 0);
    }
    let alarms = view.alarms().into_iter().map(|alarm| format!("alarm: {alarm}"));
    let remarks: Vec<String> = alarms.chain(view.standing.judged.clone()).collect();
    // Words are not broken, which leaves some room at the ends of lines.
    let width = usize::from(area.width).saturating_sub(12).max(1);
    let lines: usize = remarks.iter().map(|remark| remark.chars().count().div_ceil(width)).sum();
    (remarks.into_iter().map(|remark| Line::styled(remark, SECOND)).collect(), lines.min(6) as u16)
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

/// What stands below the curves: how wide alpha is drawn, the cells, and how many lines all of it needs.
struct Below {
    alphas: u16,
    cells: String,
    height: u16,
}

fn below(view: &View, preferences: &[(String, Vec<Preference>)], width: u16) -> Below {
    let tables = preferences.len() as u16;
    // Narrow windows have no room for two tables and a drawing.
    let alphas = match tables {
        0 => 0,
        1 => width / 2,
        _ if width < 40 * (tables + 1) => width,
        _ => width / 2,
    };
    let cells = if alphas == width { String::new() } else { view.cells(style(view, width - alphas)) };
    let table = |edges: &Vec<Preference>| edges.len() + legend(edges, usize::from(alphas / tables.max(1))).len();
    let lines = preferences.iter().map(|(_, edges)| table(edges)).max().unwrap_or(0).max(cells.lines().count());
    Below { alphas, cells, height: if lines == 0 { 0 } else { lines as u16 + 2 } }
}

fn heading(frame: &mut Frame, view: &View, area: Rect) {
    let standing = &view.standing;
    let mut line = vec![
        Span::styled(view.name(), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw("  "),
        Span::styled(standing.status, SECOND),
        Span::raw(format!("  epoch {}", standing.place())),
    ];
    if !standing.task.is_empty() {
        line.push(Span::raw(format!("  {}", standing.task_text())));
    }
    frame.render_widget(Line::from(line), area);
}

/// The figures as text, at most `lines` lines of `width` columns.
fn figures(view: &View, width: usize, most: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<String> = Vec::new();
    // These stand above.
    let above = ["status", "stage", "epoch", "step"];
    for (key, name, value) in view.standing.fields().into_iter().filter(|(key, ..)| !above.contains(key)) {
        let text = if key == "doing" { value } else { format!("{name} {value}") };
        match lines.last_mut() {
            Some(line) if line.chars().count() + 3 + text.chars().count() <= width => {
                line.push_str("   ");
                line.push_str(&text);
            }
            _ => lines.push(text),
        }
    }
    lines.truncate(most);
    lines.into_iter().map(Line::from).collect()
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
    let value: fn(&Epoch) -> Option<f64> = match (half, figure) {
        (Half::Training, Figure::Loss) => |e| Some(e.train_loss()),
        (Half::Training, Figure::Accuracy) => |e| Some(100.0 * e.train_accuracy()),
        (Half::Other, Figure::Loss) => Epoch::other_loss,
        (Half::Other, Figure::Accuracy) => |e| e.other_accuracy().map(|a| 100.0 * a),
    };
    let epochs = data.series("", value).points;
    if data.epochs.len() > 1 {
        return epochs;
    }
    let of_step = |event: &Event| match event {
        Event::Step(StepMetrics { step, metrics, .. }) => {
            let value = match (half, figure) {
                (Half::Training, Figure::Loss) => metrics.train_loss,
                (Half::Training, Figure::Accuracy) => 100.0 * metrics.train_accuracy,
                (Half::Other, Figure::Loss) => metrics.held_out_loss,
                (Half::Other, Figure::Accuracy) => 100.0 * metrics.held_out_accuracy,
            };
            Some((*step as f64, value))
        }
        Event::TrainStep(step) => match (half, figure) {
            (Half::Training, Figure::Loss) => Some((step.step as f64, step.train_loss)),
            (Half::Training, Figure::Accuracy) => Some((step.step as f64, 100.0 * step.train_accuracy)),
            (Half::Other, _) => None,
        },
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
    // The legend is part of the title, where it covers no curve and is there in any size.
    let mark = if view.unicode { '\u{2501}' } else { '-' };
    let mut heading = vec![Span::raw(format!(" {title} "))];
    let drawn = lines.iter().zip([FIRST, SECOND]).filter(|((_, points), _)| !points.is_empty());
    heading.extend(drawn.map(|((name, _), style)| Span::styled(format!("{mark} {name} "), style)));
    let chart = Chart::new(sets.collect())
        .block(Block::bordered().title(Line::from(heading)))
        .legend_position(None)
        .x_axis(Axis::default().bounds(x).labels(numbers(x, 0)))
        .y_axis(Axis::default().bounds(y).labels(numbers(y, decimals)));
    frame.render_widget(chart, area);
}

/// One line per edge: how the probability is shared, in colours and letters, and what is likeliest; then what the
/// letters stand for.
fn bars(frame: &mut Frame, tables: &[(String, Vec<Preference>)], area: Rect) {
    if tables.is_empty() {
        return;
    }
    let areas = Layout::horizontal(tables.iter().map(|_| Constraint::Fill(1))).split(area);
    for ((name, edges), &area) in tables.iter().zip(areas.iter()) {
        let block = Block::bordered().title(format!(" alpha of the {name} "));
        let room = usize::from(block.inner(area).height);
        let mut lines: Vec<Line> = edges.iter().map(|edge| bar(edge, usize::from(area.width))).collect();
        let legend = legend(edges, usize::from(area.width));
        if lines.len() > room && room > 0 {
            lines.truncate(room - 1);
            lines.push(Line::from(format!("and {} more edges", edges.len() + 1 - room)));
        } else if lines.len() + legend.len() <= room {
            lines.extend(legend);
        }
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }
}

fn letters(edge: &Preference) -> Vec<char> {
    crate::letters::of_operations(edge.operations.iter().map(|(name, _)| name.as_str()))
}

fn colour(operation: usize) -> Style {
    Style::new().fg(Color::Black).bg(COLOURS[operation % COLOURS.len()])
}

fn legend(edges: &[Preference], width: usize) -> Vec<Line<'static>> {
    let Some(edge) = edges.first() else { return vec![] };
    let width = width.saturating_sub(2);
    let mut lines: Vec<Vec<Span>> = vec![vec![]];
    let mut used = 0;
    for (k, ((name, _), letter)) in edge.operations.iter().zip(letters(edge)).enumerate() {
        let length = name.chars().count() + 4;
        if used > 0 && used + length > width {
            lines.push(vec![]);
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            line.extend([Span::styled(letter.to_string(), colour(k)), Span::raw(format!(" {name}  "))]);
        }
        used += length;
    }
    lines.into_iter().map(Line::from).collect()
}

fn bar(edge: &Preference, width: usize) -> Line<'static> {
    let (best, p) = edge.best();
    let text = format!(" {best} {p:.2}");
    // The name matters more than the bar.
    let length = BAR.min(width.saturating_sub(10 + text.len()));
    let mut spans = vec![Span::raw(format!("{:7}", edge.edge))];
    let (mut done, mut sum) = (0, 0.0);
    for (k, ((_, p), letter)) in edge.operations.iter().zip(letters(edge)).enumerate() {
        sum += p;
        let end = ((sum * length as f64).round() as usize).min(length);
        let part: String = std::iter::repeat_n(letter, end - done.min(end)).collect();
        spans.push(Span::styled(part, colour(k)));
        done = end;
    }
    spans.push(Span::raw(text));
    Line::from(spans)
}
