//! One file per group of subcommands; each reads its arguments, calls the crates and prints what came out.

mod arrays;
mod convert;
mod data;
mod demo;
mod doctor;
mod duplicates;
mod embed;
mod eval;
mod golden_rounds;
mod history;
mod iou3d;
mod layout;
mod leaks;
mod neighbors;
mod project;
mod qa;
mod qa_chart;
mod qa_check;
mod qa_golden;
mod qa_neighbours;
mod qa_people;
mod qa_plan;
mod qa_version;
mod run;
mod select;
mod split;
mod step;
mod zcore;

use std::process::ExitCode;

use crate::args::{Cli, Command, EvalCommand, QaCommand};
use crate::output::Output;

/// Does what the command line asks for.
pub(crate) fn run(cli: &Cli, output: &Output) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Eval(args) => match &args.what {
            Some(EvalCommand::Coco(coco)) => eval::coco(coco, output),
            Some(EvalCommand::Compare(compare)) => eval::compare(compare, output),
            Some(EvalCommand::Kitti(kitti)) => eval::kitti(kitti, output),
            Some(EvalCommand::Nuscenes(nuscenes)) => eval::nuscenes(nuscenes, output),
            None => step::eval(args, output),
        },
        Command::Iou3d(args) => iou3d::iou3d(args, output),
        Command::Zcore(args) => zcore::zcore(args, output),
        Command::Select(args) if args.method.is_some() => select::select(args, output),
        Command::Select(args) => step::select(&args.project, output),
        Command::Neighbors(args) => neighbors::neighbors(args, output),
        Command::Duplicates(args) => duplicates::duplicates(args, output),
        Command::Embed(args) => embed::embed(args, output),
        Command::Project(args) => layout::layout(args, output),
        Command::Convert(args) => convert::convert(args, output),
        Command::Split(args) => split::split(args, output),
        Command::Leaks(args) => leaks::leaks(args, output),
        Command::Qa(args) => match &args.what {
            Some(QaCommand::Golden(golden)) => qa_golden::golden(golden, output),
            Some(QaCommand::Suspects(suspects)) => qa::suspects(suspects, output),
            Some(QaCommand::Neighbours(neighbours)) => qa_neighbours::neighbours(neighbours, output),
            Some(QaCommand::Scorecards(cards)) => qa_people::cards(cards, output),
            Some(QaCommand::Agreement(agreement)) => qa_people::agreement(agreement, output),
            Some(QaCommand::Check(check)) => qa_check::check(check, output),
            Some(QaCommand::Plan(plan)) => qa_plan::plan(plan, output),
            Some(QaCommand::Chart(chart)) => qa_chart::chart(chart, output),
            Some(QaCommand::Version(version)) => qa_version::version(version, output),
            None => step::qa(&args.project, output),
        },
        Command::Init(args) => project::init(args, output),
        Command::Import(args) => data::import(args, output),
        Command::Export(args) => data::export(args, output),
        Command::Train(args) => step::train(args, output),
        Command::Next(args) => step::next(args, output),
        Command::Status(args) => project::status(args, output),
        Command::Doctor(args) => doctor::doctor(args, output),
        Command::History(args) => history::history(args, output),
        Command::Report(args) => project::report(args, output),
        Command::Run(args) => run::run(args, output),
        Command::Demo(args) => demo::demo(args, output),
    }
}
