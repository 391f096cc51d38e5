//! placeholder
use crate::Outcome;
use crate::args::Args;
pub(super) fn run(args: Args) -> Outcome {
    args.finish()?;
    print!("{}", super::example("leakscope-store", "store_bench")?);
    Ok(std::process::ExitCode::SUCCESS)
}
