//! Prompts, read from their files with tokio-uring and decoded by a thread of its own: no worker ever touches a file.

use crate::error::StartError;
use audio::Prompt;
use config::PromptFile;
use std::path::Path;
use std::sync::Arc;

/// Largest file that is taken: the longest prompt as WAV of 48 kHz stereo of 32 bits, and its header.
const FILE_BYTES_MAX: u64 = audio::MOST_PROMPT_SECONDS as u64 * 48_000 * 2 * 4 + 4_096;
/// Bytes of one read.
const PIECE_BYTES: usize = 1 << 18;

/// All prompts of the configuration, in its order.
pub(crate) fn load(prompts: &[config::Prompt]) -> Result<Arc<[Prompt]>, StartError> {
    let files: Vec<config::Prompt> = prompts.to_vec();
    let thread = std::thread::Builder::new()
        .name("media-files".into())
        .spawn(move || files.iter().map(load_one).collect::<Result<Arc<[Prompt]>, StartError>>())
        .map_err(|source| StartError::Thread { name: "media-files".into(), source })?;
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Whether a file can be a prompt, without a media plane: for those who check a configuration.
pub fn check_prompt(path: &Path) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot be played: {}: {error}", path.display());
    let facts = std::fs::metadata(path).map_err(|error| failed(&error))?;
    if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
        return Err(failed(&format!("must be a file of at most {FILE_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    Prompt::decode(&bytes).map(drop).map_err(|error| failed(&error))
}

fn load_one(prompt: &config::Prompt) -> Result<Prompt, StartError> {
    let PromptFile::File(path) = &prompt.file else { return Ok(Prompt::welcome()) };
    let bytes = read(&prompt.name, path)?;
    Prompt::decode(&bytes).map_err(|source| StartError::PromptSound {
        name: prompt.name.clone(),
        path: path.clone(),
        source,
    })
}

fn read(name: &str, path: &Path) -> Result<Vec<u8>, StartError> {
    let failed = |source| StartError::PromptFile { name: name.into(), path: path.into(), source };
    // A directory or a device would open as well, but never end.
    let facts = std::fs::metadata(path).map_err(failed)?;
    if !facts.is_file() {
        return Err(failed(std::io::Error::other("it is not a file")));
    }
    let too_large =
        |bytes| StartError::PromptSize { name: name.into(), path: path.into(), bytes, limit: FILE_BYTES_MAX };
    if facts.len() > FILE_BYTES_MAX {
        return Err(too_large(facts.len()));
    }
    let content = tokio_uring::start(async {
        let file = tokio_uring::fs::File::open(path).await?;
        let (mut content, mut piece) = (Vec::with_capacity(facts.len() as usize), vec![0; PIECE_BYTES]);
        // It may grow while we read; what is too much is refused below.
        while content.len() as u64 <= FILE_BYTES_MAX {
            let (result, buffer) = file.read_at(piece, content.len() as u64).await;
            piece = buffer;
            match result? {
                0 => break,
                count => content.extend_from_slice(&piece[..count]),
            }
        }
        file.close().await?;
        Ok(content)
    });
    let content = content.map_err(failed)?;
    if content.len() as u64 > FILE_BYTES_MAX { Err(too_large(content.len() as u64)) } else { Ok(content) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(path: &Path) -> config::Prompt {
        config::Prompt { name: "play".into(), file: PromptFile::File(path.into()) }
    }

    #[test]
    fn a_file_sounds_like_the_builtin_prompt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("welcome.wav");
        std::fs::write(&path, audio::WELCOME_WAV).unwrap();
        let builtin = config::Prompt { name: "b".into(), file: PromptFile::Builtin };
        let prompts = load(&[wav(&path), builtin]).unwrap();
        assert_eq!(prompts[0].sample_count(), prompts[1].sample_count());
    }

    #[test]
    fn what_is_wrong_names_prompt_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.wav");
        let words = load(&[wav(&missing)]).unwrap_err().to_string();
        assert!(words.contains("`play`") && words.contains("missing.wav") && words.contains("No such file"), "{words}");
        let broken = folder.path().join("broken.wav");
        std::fs::write(&broken, b"RIFFnonsense").unwrap();
        let words = load(&[wav(&broken)]).unwrap_err().to_string();
        assert!(words.contains("broken.wav") && words.contains("not a WAV file"), "{words}");
        let words = load(&[wav(folder.path())]).unwrap_err().to_string();
        assert!(words.contains("not a file"), "{words}");
        let text = folder.path().join("text.mp3");
        std::fs::write(&text, b"no music").unwrap();
        let words = load(&[wav(&text)]).unwrap_err().to_string();
        assert!(words.contains("text.mp3") && words.contains("not a WAV, FLAC, MP3 or Ogg file"), "{words}");
        for (path, why) in
            [(&missing, "No such file"), (&broken, "not a WAV file"), (&folder.path().into(), "a file of")]
        {
            let words = check_prompt(path).unwrap_err();
            assert!(words.contains(why) && words.contains(&path.display().to_string()), "{words}");
        }
        std::fs::write(&broken, audio::WELCOME_WAV).unwrap();
        assert_eq!(check_prompt(&broken), Ok(()));
    }
}
