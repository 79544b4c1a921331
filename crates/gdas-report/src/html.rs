//! One self-contained HTML page about one run or several: no network, works from disk, light and dark.

use std::fmt::Write as _;

use super::cell::genotype_pictures;
use super::chart::{Chart, Series};
use super::run_data::RunData;
use super::svg::escape;
use super::{chart, svg};
use gdas::cost::{self, Cost, readable, readable_bytes};
use gdas::network::{NetworkConfig, Stem, derive};
use gdas::run::{Event, Places, RunInfo};
use gdas::space::{Genotype, Wiring};
use gdas_kernels::graph::{Graph, Shape};
use gdas_nasbench::{Dataset, Quantity, Rank, Table, Trajectory, cell_of};

/// A figure of a report, to be written as a file of its own.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of the file without its ending, unique in the report.
    pub name: String,
    /// A complete SVG file.
    pub svg: String,
}

/// The page. `table` tells how the cells found do on NAS-Bench-201.
pub fn page(runs: &[RunData], table: Option<&Table>) -> String {
    let title = match runs {
        [run] => format!("{}: {}", run.info.task, run.info.name),
        _ => format!("{} runs compared", runs.len()),
    };
    let mut body = format!("<h1>{}</h1>\n", escape(&title));
    if runs.len() > 1 {
        comparison(runs, table, &mut body);
    }
    for run in runs {
        if runs.len() > 1 {
            let _ = writeln!(body, "<details class=\"run\"><summary><h2>{}</h2></summary>", escape(&run.info.name));
        }
        one_run(run, table, &mut body);
        if runs.len() > 1 {
            body.push_str("</details>\n");
        }
    }
    document(&title, &body, None)
}

/// What makes a page follow something: `script` listens at `events` and renews the page when its revision is old.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    /// Where server-sent events come from.
    pub events: &'a str,
    /// What state of things the page shows.
    pub revision: u64,
    /// Style sheet, after the page's own.
    pub style: &'a str,
    /// Script, after the page's own.
    pub script: &'a str,
}

/// A page about one run that follows it; `top` is put below the heading.
pub fn live_run(run: &RunData, top: &str, live: &Live) -> String {
    let title = format!("{}: {}", run.info.task, run.info.name);
    let mut body = format!("<p><a href=\"../\">all runs</a></p>\n<h1>{}</h1>\n{top}", escape(&title));
    one_run(run, None, &mut body);
    document(&title, &body, Some(live))
}

/// Any page that follows something.
pub fn live(title: &str, body: &str, live: &Live) -> String {
    document(title, body, Some(live))
}

fn document(title: &str, body: &str, live: Option<&Live>) -> String {
    let (mut connect, mut attributes, mut more_style, mut more_script) = ("", String::new(), "", "");
    if let Some(Live { events, revision, style, script }) = live {
        connect = "; connect-src 'self'";
        attributes = format!(" data-events=\"{}\" data-revision=\"{revision}\"", escape(events));
        (more_style, more_script) = (*style, *script);
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; img-src data: blob:{connect}\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>{}{}{STYLE}{more_style}</style>\n</head>\n<body{attributes}>\n<main>\n{body}</main>\n\
         <footer>Written by gdas {}.</footer>\n<script>{SCRIPT}{more_script}</script>\n</body>\n</html>\n",
        escape(title),
        chart::style(),
        svg::style(),
        env!("CARGO_PKG_VERSION"),
    )
}

/// Every figure of a run, as files; with a table also those of its cells in the table.
pub fn figures(run: &RunData, table: Option<&Table>) -> Vec<Figure> {
    let name = |part: &str| format!("{}-{part}", file_name(&run.info.name));
    let mut figures = Vec::new();
    if let Some(pictures) = genotype(run).and_then(|g| genotype_pictures(&g, false).ok()) {
        for picture in pictures {
            figures.push(Figure { name: name(&file_name(&picture.title)), svg: picture.without_none().to_svg() });
        }
    }
    for (part, chart) in run.curves() {
        figures.push(Figure { name: name(part), svg: chart.to_svg() });
    }
    if let Some(trajectory) = table.map(|table| trajectory_of(run, table)) {
        for (part, chart) in trajectory_charts(&trajectory) {
            figures.push(Figure { name: name(part), svg: chart.to_svg() });
        }
    }
    for (table, charts) in run.alpha_charts() {
        for (edge, mut chart) in charts.into_iter().enumerate() {
            // On its own a chart needs its legend, and room for it.
            chart.size = (460.0, 230.0);
            chart.legend = true;
            figures.push(Figure { name: name(&format!("alpha-{}-{edge:02}", file_name(&table))), svg: chart.to_svg() });
        }
    }
    figures
}

/// `text` with nothing in it that a file system could mind.
pub(crate) fn file_name(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    text.chars().map(safe).collect()
}

fn genotype(run: &RunData) -> Option<Genotype> {
    let found = Genotype::find_in(run.info.genotype.as_ref()?, None, run.space.as_ref());
    found.ok().map(|found| found.genotype)
}

/// The figures of a comparison of several runs, as files; none for a single run.
pub fn comparison_figures(runs: &[RunData]) -> Vec<Figure> {
    if runs.len() < 2 {
        return vec![];
    }
    let figure = |chart: Chart| Figure { name: format!("comparison-{}", file_name(&chart.title)), svg: chart.to_svg() };
    comparison_charts(runs).into_iter().map(figure).collect()
}

/// The table of a comparison, as comma-separated values.
pub fn comparison_csv(runs: &[RunData]) -> String {
    let lines = comparison_rows(runs).into_iter().map(super::csv::line);
    super::csv::line(COMPARED) + &lines.collect::<String>()
}

const COMPARED: [&str; 12] = [
    "run",
    "state",
    "task",
    "algorithm",
    "space",
    "data",
    "seed",
    "epochs",
    "accuracy",
    "parameter-free",
    "parameters",
    "multiply-adds",
];

fn comparison_rows(runs: &[RunData]) -> Vec<Vec<String>> {
    let row = |run: &RunData| {
        let info = &run.info;
        let cost = network_of(run).map(|n| cost::network(&n.graph));
        let dash = || "\u{2013}".to_owned();
        vec![
            info.name.clone(),
            info.status.to_owned(),
            info.task.clone(),
            run.setting("algorithm").unwrap_or_else(dash),
            info.space.clone(),
            info.data.clone(),
            run.setting("seed").unwrap_or_else(dash),
            format!("{}/{}", info.epochs_done, info.epochs),
            info.accuracy.map_or_else(dash, percent),
            genotype(run).map_or_else(dash, |g| percent(g.parameter_free_share())),
            cost.map_or_else(dash, |c| readable(c.params)),
            cost.map_or_else(dash, |c| readable(c.multiply_adds)),
        ]
    };
    runs.iter().map(row).collect()
}

/// One line per run.
fn comparison_charts(runs: &[RunData]) -> Vec<Chart> {
    let over = |title: &str, value: fn(&super::run_data::EpochRow) -> Option<f64>| {
        // Runs without such points stay in their places: a run has the same colour in every chart.
        Chart::new(title, "epoch", runs.iter().map(|run| run.series(&run.info.name, value)).collect())
    };
    let mut charts = vec![
        over("Held-out, validation or test accuracy", |e| e.other_accuracy).percent().between(Some(0.0), None),
        over("Held-out, validation or test loss", |e| e.other_loss),
        over("Training accuracy", |e| Some(e.train_accuracy)).percent().between(Some(0.0), None),
        over("Edges without parameters", |e| e.parameter_free).percent().between(Some(0.0), Some(1.0)),
    ];
    charts.retain(|chart| !chart.is_empty());
    charts
}

fn comparison(runs: &[RunData], table: Option<&Table>, out: &mut String) {
    out.push_str("<section>\n");
    rows_table(&COMPARED, &comparison_rows(runs), out);
    if let Some(table) = table {
        ranks(runs, table, out);
    }
    out.push_str("<div class=\"charts\">\n");
    for chart in comparison_charts(runs) {
        figure(&chart.to_svg_fragment(), &format!("comparison-{}", file_name(&chart.title)), out);
    }
    out.push_str("</div>\n</section>\n");
}

/// One line per run, with its accuracy and rank in each setting of the table.
fn ranks(runs: &[RunData], table: &Table, out: &mut String) {
    let standings: Vec<_> = runs.iter().map(|run| standing(run, table)).collect();
    let Some(known) = standings.iter().find(|rows| !rows.is_empty()) else { return };
    let settings: Vec<&[String]> = known.iter().map(|row| &row[..2]).collect();
    let head: Vec<String> = settings.iter().map(|setting| format!("{}, {} epochs", setting[0], setting[1])).collect();
    let head: Vec<&str> = std::iter::once("run").chain(head.iter().map(String::as_str)).collect();
    let rows = runs.iter().zip(&standings).filter(|(_, rows)| !rows.is_empty()).map(|(run, rows)| {
        let cells = settings.iter().map(|setting| {
            let row = rows.iter().find(|row| row[..2] == **setting);
            row.map_or_else(|| "\u{2013}".to_owned(), |row| format!("{}, rank {}", row[2], row[3]))
        });
        std::iter::once(run.info.name.clone()).chain(cells).collect()
    });
    out.push_str("<h3>In the NAS-Bench-201 table</h3>\n");
    rows_table(&head, &rows.collect::<Vec<_>>(), out);
}

fn one_run(run: &RunData, table: Option<&Table>, out: &mut String) {
    alarms(run, out);
    facts(run, table, out);
    if run.info.task == "auto" {
        for stage in &run.stages {
            let title = if stage.info.task == "train" { "Training" } else { "Search" };
            let _ = writeln!(out, "<details class=\"run\" open><summary><h2>{title}</h2></summary>");
            one_run(stage, table, out);
            out.push_str("</details>\n");
        }
        if run.stages.is_empty() {
            out.push_str("<p>No stage has begun yet.</p>\n");
        }
        return;
    }
    cells(run, out);
    judgement(run, out);
    out.push_str("<section>\n<h2>Curves</h2>\n");
    let curves = run.curves();
    if curves.is_empty() {
        out.push_str("<p>No epoch is over yet.</p>\n");
    }
    out.push_str("<div class=\"charts\">\n");
    for (name, chart) in &curves {
        figure(&chart.to_svg_fragment(), &format!("{}-{name}", file_name(&run.info.name)), out);
    }
    out.push_str("</div>\n");
    download("epochs.csv", &run.epochs_csv(), out);
    out.push_str("</section>\n");
    if let Some(table) = table {
        trajectory(run, table, out);
    }
    alphas(run, out);
    costs(run, out);
    history(run, out);
    repeat(run, out);
}

fn facts(run: &RunData, table: Option<&Table>, out: &mut String) {
    let info = &run.info;
    let epochs = |info: &RunInfo| format!("{} of {} epochs", info.epochs_done, info.epochs);
    let mut rows: Vec<(&str, String)> = Vec::new();
    if info.task == "auto" {
        rows.push(("state", info.status.to_owned()));
        for stage in &info.stages {
            rows.push((if stage.task == "train" { "training" } else { "search" }, epochs(stage)));
        }
    } else {
        rows.push(("state", format!("{}, {}", info.status, epochs(info))));
    }
    rows.extend([("space", info.space.clone()), ("data", info.data.clone())]);
    match (info.accuracy, info.stage.unwrap_or(&info.task)) {
        (Some(accuracy), "train") => rows.push(("test accuracy", percent(accuracy))),
        (Some(accuracy), _) => rows.push(("held-out accuracy (shared weights)", percent(accuracy))),
        (None, "train") if info.test_images == Some(0) => {
            rows.push(("test accuracy", "no test images".into()));
        }
        (None, _) => {}
    }
    if let Some((epoch, accuracy)) = run.chosen_epoch() {
        rows.push(("weights", format!("of epoch {epoch}, chosen by its validation accuracy of {}", percent(accuracy))));
    }
    if let Some(genotype) = genotype(run) {
        rows.push(("edges without parameters", percent(genotype.parameter_free_share())));
    }
    let seconds = run.events.iter().rev().find_map(|e| match e {
        Event::Finished { seconds, .. } => Some(*seconds),
        _ => None,
    });
    if let Some(seconds) = seconds {
        rows.push(("time of the last process", duration(seconds)));
    }
    out.push_str("<section class=\"facts\">\n<dl>\n");
    for (name, value) in rows {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    out.push_str("</dl>\n");
    if let Some(text) = &info.genotype {
        let _ = writeln!(out, "<p class=\"genotype\"><code>{}</code></p>", escape(text));
    }
    if let Some(table) = table {
        let rows = standing(run, table);
        if !rows.is_empty() {
            out.push_str("<h3>In the NAS-Bench-201 table</h3>\n");
            rows_table(&["data set", "epochs", "accuracy", "rank"], &rows, out);
        }
    }
    out.push_str("</section>\n");
}

/// Data set, epochs, accuracy and rank of the run's cell, for each setting of the table.
fn standing(run: &RunData, table: &Table) -> Vec<Vec<String>> {
    let Some(index) = genotype(run).and_then(|g| cell_of(&g).ok()).and_then(|cell| table.index_of(cell)) else {
        return vec![];
    };
    let mut rows = Vec::new();
    for setting in table.settings() {
        for (quantity, name) in [(Quantity::ValidAccuracy, "valid"), (Quantity::TestAccuracy, "test")] {
            if let Ok(rank) = table.rank(index, setting, quantity) {
                rows.push(vec![
                    format!("{} {name}", setting.dataset.name()),
                    setting.epochs.to_string(),
                    format!("{:.2} %", rank.value),
                    format!("{} of {}", rank.rank, rank.of),
                ]);
            }
        }
    }
    rows
}

fn cells(run: &RunData, out: &mut String) {
    let Some(Ok(pictures)) = genotype(run).map(|g| genotype_pictures(&g, false)) else { return };
    let found = if run.info.task == "train" { "" } else { " found" };
    let _ = writeln!(out, "<section>\n<h2>Cell{}{found}</h2>", if pictures.len() > 1 { "s" } else { "" });
    let many = pictures.len() > 1;
    for picture in pictures {
        if many {
            let _ = writeln!(out, "<h3>{}</h3>", escape(&picture.title));
        }
        let name = format!("{}-{}", file_name(&run.info.name), file_name(&picture.title));
        figure(&picture.without_none().to_svg_fragment(), &name, out);
    }
    out.push_str("</section>\n");
}

/// What goes wrong as of the last epoch.
fn alarms(run: &RunData, out: &mut String) {
    for (_, message) in &run.alarms {
        let _ = writeln!(out, "<p class=\"alarm\" role=\"alert\"><strong>Alarm:</strong> {}.</p>", escape(message));
    }
}

/// Why the cell of a judged end was chosen, and what the curves show instead.
fn judgement(run: &RunData, out: &mut String) {
    let Some(judgement) = run.judgement() else { return };
    let reason = judgement.reason();
    let mut letters = reason.chars();
    let reason = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
    let _ = writeln!(out, "<section>\n<h2>Why this cell</h2>\n<p>{}.</p>", escape(&reason));
    if let (Some(own), false) = (&judgement.own_genotype, judgement.is_own()) {
        let free = |text: &str| {
            let genotype = run.space.as_ref().and_then(|space| Genotype::parse(text, space).ok());
            genotype.map_or_else(|| "\u{2013}".to_owned(), |genotype| percent(genotype.parameter_free_share()))
        };
        let mut rows: Vec<Vec<String>> = judgement
            .judges
            .iter()
            .map(|p| vec![format!("place by {}", p.judge), p.chosen.to_string(), p.own.to_string()])
            .collect();
        let sum = |place: fn(&Places) -> f64| judgement.judges.iter().map(place).sum::<f64>().to_string();
        rows.push(vec!["sum of places".to_owned(), sum(|p| p.chosen), sum(|p| p.own)]);
        let losses = [judgement.loss, judgement.own_loss].map(|loss| format!("{loss:.4}"));
        rows.push([vec!["held-out loss, shared weights".to_owned()], losses.to_vec()].concat());
        rows.push(vec!["edges without parameters".to_owned(), free(&judgement.genotype), free(own)]);
        rows_table(&["", "cell chosen", "alpha's own cell"], &rows, out);
        let _ = writeln!(
            out,
            "<p>Of {} candidates the smallest sum of places wins, each judge counting the same. The curves, the \
             probabilities and the cells on the way below are alpha's; its own cell at the end was</p>\n\
             <p class=\"genotype\"><code>{}</code></p>",
            judgement.candidates,
            escape(own)
        );
    }
    out.push_str("</section>\n");
}

/// What the table knows of the cell that alpha pointed to, epoch by epoch.
fn trajectory(run: &RunData, table: &Table, out: &mut String) {
    let charts = trajectory_charts(&trajectory_of(run, table));
    if charts.is_empty() {
        return;
    }
    out.push_str(
        "<section>\n<h2>Alpha's cell in the NAS-Bench-201 table, epoch by epoch</h2>\n<div class=\"charts\">\n",
    );
    for (name, chart) in &charts {
        figure(&chart.to_svg_fragment(), &format!("{}-{name}", file_name(&run.info.name)), out);
    }
    out.push_str("</div>\n</section>\n");
}

fn trajectory_of(run: &RunData, table: &Table) -> Trajectory {
    let cells = run.epochs.iter().filter_map(|e| Some((e.epoch, e.genotype.as_deref()?)));
    Trajectory::new(cells, table, Quantity::TestAccuracy, TRAINED)
}

/// Epochs of the trainings that a trajectory looks up.
const TRAINED: u16 = 200;

/// Accuracy and rank of alpha's cell over the epochs of a search; none where the table knows none of the cells.
fn trajectory_charts(trajectory: &Trajectory) -> Vec<(&'static str, Chart)> {
    let series = |value: fn(&Rank) -> f64| -> Vec<Series> {
        let of = |(i, dataset): (usize, &Dataset)| Series {
            name: dataset.name().to_owned(),
            points: trajectory
                .points
                .iter()
                .filter_map(|point| Some(((point.epoch + 1) as f64, value(point.ranks[i].as_ref()?))))
                .collect(),
        };
        trajectory.datasets.iter().enumerate().map(of).collect()
    };
    let accuracy = Chart::new("Test accuracy of alpha's cell", "epoch", series(|rank| rank.value / 100.0)).percent();
    let rank = Chart::new("Rank of alpha's cell (1 is the best)", "epoch", series(|rank| rank.rank as f64));
    let charts = [("trajectory-accuracy", accuracy), ("trajectory-rank", rank.between(Some(0.0), None))];
    charts.into_iter().filter(|(_, chart)| !chart.is_empty()).collect()
}

fn alphas(run: &RunData, out: &mut String) {
    let tables = run.alpha_charts();
    if tables.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>What each edge prefers</h2>\n<p>softmax(alpha) per edge, epoch by epoch.</p>\n");
    for (index, (name, charts)) in tables.iter().enumerate() {
        if tables.len() > 1 {
            let _ = writeln!(out, "<h3>{}</h3>", escape(name));
        }
        out.push_str("<ul class=\"legend\">\n");
        for (i, operation) in run.operation_names(index).iter().enumerate() {
            let class = i % chart::SERIES_COLOURS.len();
            let _ = writeln!(
                out,
                "<li><svg class=\"chart\" width=\"24\" height=\"10\" aria-hidden=\"true\">\
                 <path class=\"s{class}\" d=\"M0 5H24\"/></svg> {}</li>",
                escape(operation)
            );
        }
        out.push_str("</ul>\n<div class=\"charts small\">\n");
        for (edge, chart) in charts.iter().enumerate() {
            let file = format!("{}-alpha-{}-{edge:02}", file_name(&run.info.name), file_name(name));
            figure(&chart.to_svg_fragment(), &file, out);
        }
        out.push_str("</div>\n");
    }
    download("alphas.csv", &run.alphas_csv(), out);
    out.push_str("</section>\n");
}

/// The network that the run's genotype stands for, and what it is called.
struct Sized {
    graph: Graph,
    channels: usize,
    cells: usize,
    image: usize,
    classes: usize,
}

/// A training's own network; for a search the one of published size that its cell is meant for.
fn network_of(run: &RunData) -> Option<Sized> {
    let genotype = genotype(run)?;
    let space = &genotype.space;
    let number = |key: &str| run.setting(key).and_then(|text| text.parse::<usize>().ok());
    let (published_channels, published_cells) = match space.skeleton.wiring {
        Wiring::Residual => (16, 5),
        Wiring::TwoInputs { .. } => (36, 6),
    };
    let own = run.info.task == "train";
    let channels = number("channels").filter(|_| own).unwrap_or(published_channels);
    let cells = number("cells").filter(|_| own).unwrap_or(published_cells);
    let image = number("image_size").unwrap_or(32);
    let classes = run.classes()?;
    // A file that was tampered with must not make us build a giant.
    if !(1..=1024).contains(&channels) || !(1..=64).contains(&cells) || !(8..=224).contains(&image) {
        return None;
    }
    let config = NetworkConfig {
        image: Shape::new(image, image, 3),
        classes,
        channels,
        stem: Stem::for_size(image),
        affine: true,
        track: true,
        auxiliary: false,
        drop_path: false,
    };
    let graph = derive(&space.derived_blocks(cells), &config, &genotype).ok()?;
    Some(Sized { graph, channels, cells, image, classes })
}

fn costs(run: &RunData, out: &mut String) {
    let Some(network) = network_of(run) else { return };
    let total = cost::network(&network.graph);
    let memory = cost::training_memory(&network.graph, 64);
    let _ = writeln!(
        out,
        "<section>\n<h2>Cost</h2>\n<p>The network built from this cell with C = {}, N = {}, for {}x{} colour images and {} \
         classes: <b>{}</b> parameters, <b>{}</b> multiply-adds per image, about {} of memory to train it with \
         batches of 64.</p>\n<details><summary>Layer by layer</summary>",
        network.channels,
        network.cells,
        network.image,
        network.image,
        network.classes,
        readable(total.params),
        readable(total.multiply_adds),
        readable_bytes(memory.total()),
    );
    let share = |part: u64, of: u64| format!("{:.1} %", 100.0 * part as f64 / of.max(1) as f64);
    let row = |name: &str, cost: Cost| {
        vec![
            name.to_owned(),
            readable(cost.params),
            share(cost.params, total.params),
            readable(cost.multiply_adds),
            share(cost.multiply_adds, total.multiply_adds),
        ]
    };
    let mut rows: Vec<Vec<String>> =
        cost::parts(&network.graph, 2).iter().map(|part| row(&part.name, part.cost)).collect();
    rows.push(row("together", total));
    rows_table(&["part", "parameters", "share", "multiply-adds", "share"], &rows, out);
    out.push_str("</details>\n</section>\n");
}

fn history(run: &RunData, out: &mut String) {
    let history = run.genotype_history();
    if history.len() > 1 {
        let epochs = |a: usize, b: usize| if a == b { format!("{}", a + 1) } else { format!("{} to {}", a + 1, b + 1) };
        let rows: Vec<Vec<String>> =
            history.iter().rev().map(|(first, last, genotype)| vec![epochs(*first, *last), genotype.clone()]).collect();
        let _ = writeln!(out, "<section>\n<h2>Cells on the way</h2>\n<details><summary>{} cells</summary>", rows.len());
        rows_table(&["epochs", "genotype"], &rows, out);
        out.push_str("</details>\n</section>\n");
    }
    let mut rows = Vec::new();
    let mut saved = (0usize, 0.0, 0u64);
    for event in &run.events {
        match event {
            Event::Started { step, threads, version, .. } => rows.push(vec![
                if *step == 0 { "started" } else { "resumed" }.to_owned(),
                step.to_string(),
                format!("gdas {version}, {threads} threads"),
            ]),
            Event::Warning { message } => rows.push(vec!["warning".to_owned(), String::new(), message.clone()]),
            Event::Alarm { step, message, .. } => {
                rows.push(vec!["alarm".to_owned(), step.to_string(), message.clone()]);
            }
            Event::EarlyStop { step, reason, .. } => {
                rows.push(vec!["ended early".to_owned(), step.to_string(), reason.clone()]);
            }
            Event::Judging { step, candidates, done: 0, .. } => {
                rows.push(vec!["judging".to_owned(), step.to_string(), format!("{candidates} candidates")]);
            }
            Event::Judged(judgement) => {
                rows.push(vec!["judged".to_owned(), judgement.step.to_string(), judgement.reason()]);
            }
            Event::Paused { step } => rows.push(vec!["paused".to_owned(), step.to_string(), String::new()]),
            Event::Continued { step } => rows.push(vec!["continued".to_owned(), step.to_string(), String::new()]),
            Event::Interrupted { step } => rows.push(vec!["interrupted".to_owned(), step.to_string(), String::new()]),
            Event::Finished { step, seconds, .. } => {
                rows.push(vec!["finished".to_owned(), step.to_string(), format!("after {}", duration(*seconds))]);
            }
            Event::Checkpoint { bytes, seconds, .. } => saved = (saved.0 + 1, saved.1 + seconds, *bytes),
            _ => {}
        }
    }
    if !rows.is_empty() {
        out.push_str("<section>\n<h2>What happened</h2>\n");
        rows_table(&["event", "step", ""], &rows, out);
        if saved.0 > 0 {
            let _ = writeln!(
                out,
                "<p>{} of {} took {} together.</p>",
                if saved.0 == 1 { "1 checkpoint".to_owned() } else { format!("{} checkpoints", saved.0) },
                readable_bytes(saved.2),
                seconds_text(saved.1)
            );
        }
        out.push_str("</section>\n");
    }
}

fn repeat(run: &RunData, out: &mut String) {
    let command = if run.info.task == "train" { "train" } else { "search" };
    let _ = writeln!(
        out,
        "<section>\n<h2>How to repeat it</h2>\n<p>Save the configuration as <code>config.toml</code>, then:</p>\n\
         <pre><code>gdas {command} --config config.toml</code></pre>\n<p>The same configuration and seed give the same \
         result, bit for bit, on a CPU with any number of threads.</p>"
    );
    out.push_str("<details><summary>Configuration</summary>\n");
    let _ = writeln!(out, "<pre><code>{}</code></pre>", escape(&run.config));
    download("config.toml", &run.config, out);
    out.push_str("</details>\n");
    if let Some(result) = &run.result {
        let _ =
            writeln!(out, "<details><summary>Result</summary>\n<pre><code>{}</code></pre>\n</details>", escape(result));
    }
    out.push_str("</section>\n");
}

fn figure(svg: &str, name: &str, out: &mut String) {
    let _ = writeln!(out, "<figure data-name=\"{}\">\n{svg}</figure>", escape(name));
}

fn rows_table(head: &[&str], rows: &[Vec<String>], out: &mut String) {
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for cell in head {
        let _ = write!(out, "<th>{}</th>", escape(cell));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escape(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
}

/// A link that holds the file itself.
fn download(name: &str, content: &str, out: &mut String) {
    let mut encoded = String::with_capacity(content.len() * 5 / 4);
    for byte in content.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' => encoded.push(byte as char),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    let _ = writeln!(
        out,
        "<p class=\"download\"><a download=\"{name}\" href=\"data:text/plain;charset=utf-8,{encoded}\">{name}</a></p>"
    );
}

fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

fn seconds_text(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.2} s") } else { duration(seconds) }
}

fn duration(seconds: f64) -> String {
    let total = seconds.max(0.0).round() as u64;
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60);
    if hours > 0 {
        format!("{hours} h {minutes:02} min")
    } else if minutes > 0 {
        format!("{minutes} min {rest:02} s")
    } else {
        format!("{rest} s")
    }
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
