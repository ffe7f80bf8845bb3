//! Rules that several keys make together.

use crate::reader::Reader;
use crate::{Config, PromptFile};

pub(crate) fn together(config: &Config, reader: &mut Reader<'_>) {
    let pairs = config.media.ports.pair_count();
    if pairs < config.media.workers {
        reader.blame("media", "ports", format!("has {pairs} port pair(s) for {} workers", config.media.workers));
    }
    let media = config.media.ports;
    for address in config.sip.listen.iter().filter(|address| address.port() != 0) {
        if (media.first..=media.last).contains(&address.port()) {
            let range = format!("{}-{}", media.first, media.last);
            reader.blame("sip", "listen", format!("{address} lies in media.ports ({range}), where RTP goes"));
        }
    }
    for prompt in &config.media.prompts {
        if let PromptFile::Wav(path) = &prompt.file
            && !path.is_file()
        {
            let allowed = format!("the prompt `{}` is not a file: {}", prompt.name, path.display());
            reader.blame("media", "prompts", allowed);
        }
    }
}
