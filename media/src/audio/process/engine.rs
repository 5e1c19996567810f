//! The processing of the `sonora` crate, for the stages that are one of its parts.

use super::Block;
use crate::SAMPLE_RATE;
use sonora::{AudioProcessing, Config, StreamConfig, config};

/// Full-band processing of mono blocks with only what `settings` turns on.
pub(super) fn engine(settings: Config) -> AudioProcessing {
    let pipeline = config::Pipeline {
        // The default would cut off everything above 16 kHz.
        maximum_internal_processing_rate: config::MaxProcessingRate::Rate48kHz,
        ..config::Pipeline::default()
    };
    let mono = StreamConfig::new(SAMPLE_RATE, 1);
    AudioProcessing::builder().config(Config { pipeline, ..settings }).capture_config(mono).render_config(mono).build()
}

/// Runs `block` through `engine`; leaves it as it is if that fails, which it cannot for blocks of the announced form.
pub(super) fn run(engine: &mut AudioProcessing, block: &mut Block) {
    let input = *block;
    if let Err(error) = engine.process_capture_f32(&[&input], &mut [block.as_mut_slice()]) {
        tracing::error!(%error, "sound could not be processed");
        *block = input;
    }
}
