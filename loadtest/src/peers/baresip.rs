//! baresip, a softphone, without a sound card: it records what it hears into a WAV file.

use super::ports::{free_port, free_range};
use super::process::Process;
use clock::Duration;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running softphone.
pub struct Baresip {
    process: Process,
    folder: PathBuf,
    /// Where it takes calls.
    pub sip: SocketAddr,
}

/// Who a softphone is.
struct Account<'a> {
    user: &'a str,
    /// Answers challenges; empty: it has none.
    password: &'a str,
    /// Its only codec, as baresip names it.
    codec: &'a str,
}

impl Baresip {
    /// Starts it in `folder`, with `voice` (a WAV file of 8 kHz) in place of a microphone, and dials.
    pub fn dial(folder: &Path, voice: &Path, target: &str, switch: SocketAddr) -> io::Result<Self> {
        Self::dial_as(folder, voice, ("phone", ""), target, switch)
    }

    /// Starts it like [`Self::dial`], with a user name and a password to answer challenges with.
    pub fn dial_as(
        folder: &Path,
        voice: &Path,
        (user, password): (&str, &str),
        target: &str,
        switch: SocketAddr,
    ) -> io::Result<Self> {
        let account = Account { user, password, codec: "PCMU" };
        Self::start(&folder.join("baresip"), voice, &account, Some(&format!("sip:{target}@{switch}")))
    }

    /// Starts it in `folder` with one codec, as baresip names it (`opus/48000/2`), and dials a SIP URI.
    pub fn dial_with(folder: &Path, voice: &Path, codec: &str, uri: &str) -> io::Result<Self> {
        Self::start(folder, voice, &Account { user: "phone", password: "", codec }, Some(uri))
    }

    /// Starts it in `folder` with one codec; it answers every call at once.
    pub fn answering(folder: &Path, voice: &Path, codec: &str) -> io::Result<Self> {
        Self::start(folder, voice, &Account { user: "phone", password: "", codec }, None)
    }

    fn start(folder: &Path, voice: &Path, account: &Account<'_>, dialled: Option<&str>) -> io::Result<Self> {
        let folder = folder.to_owned();
        fs::create_dir_all(&folder)?;
        let ip = IpAddr::from([127, 0, 0, 1]);
        let (sip, media) = (free_port(ip)?, free_range(ip, 20)?);
        fs::write(folder.join("config"), config(&folder, voice, ip, sip, media))?;
        let Account { user, password, codec } = account;
        let secret = if password.is_empty() { String::new() } else { format!(";auth_pass={password}") };
        let line = format!("<sip:{user}@{ip}:{sip}>;regint=0;audio_codecs={codec};answermode=auto{secret}\n");
        fs::write(folder.join("accounts"), line)?;
        fs::write(folder.join("contacts"), "")?;
        let mut command = Command::new("baresip");
        command.current_dir(&folder).arg("-4").arg("-f").arg(&folder);
        if let Some(uri) = dialled {
            command.args(["-e".into(), format!("/dial {uri}")]);
        }
        let process = Process::start("baresip", &mut command, &folder)?;
        Ok(Self { process, folder, sip: SocketAddr::new(ip, sip) })
    }

    /// Waits until it takes calls.
    pub fn listening(&mut self, within: Duration) -> io::Result<()> {
        self.process.ready(within, |process| process.output().contains("baresip is ready").then_some(()))
    }

    /// Waits until the call is established.
    pub fn established(&mut self, within: Duration) -> io::Result<()> {
        self.process.ready(within, |process| process.output().contains("established").then_some(()))
    }

    /// Hangs up, ends, and gives what was heard: samples and their rate.
    pub fn finish(mut self) -> io::Result<(Vec<i16>, u32)> {
        self.process.stop()?;
        let is_recording =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("-dec.wav"));
        let mut files: Vec<PathBuf> = fs::read_dir(&self.folder)?.flatten().map(|entry| entry.path()).collect();
        files.retain(is_recording);
        let [file] = &files[..] else {
            return Err(io::Error::other(format!("{} recordings; baresip printed:\n{}", files.len(), self.output())));
        };
        read_wav(file)
    }

    /// What it printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

fn config(folder: &Path, voice: &Path, ip: IpAddr, sip: u16, media: u16) -> String {
    let modules = ["g711.so", "g722.so", "opus.so", "l16.so", "gsm.so", "g726.so", "aufile.so", "sndfile.so"]
        .map(|name| format!("module {name}\n"))
        .concat();
    format!(
        "sip_listen {ip}:{sip}\nnet_interface {ip}\naudio_source aufile,{}\naudio_player aufile,{}\naudio_alert \
         aufile,{}\nausrc_srate 8000\nausrc_channels 1\nrtp_ports {media}-{}\nsnd_path {}\nmodule_path \
         {}\n{modules}module_app account.so\nmodule_app menu.so\n",
        voice.display(),
        folder.join("player.wav").display(),
        folder.join("alert.wav").display(),
        media + 19,
        folder.display(),
        module_folder(),
    )
}

/// Debian keeps the modules by architecture or not, depending on the release.
fn module_folder() -> String {
    let by_architecture = format!("/usr/lib/{}-linux-gnu/baresip/modules", std::env::consts::ARCH);
    if Path::new(&by_architecture).is_dir() { by_architecture } else { "/usr/lib/baresip/modules".into() }
}

/// Samples and rate of a WAV file, first channel; a file whose writer was ended before it wrote the sizes is read to
/// its end.
pub fn read_wav(path: &Path) -> io::Result<(Vec<i16>, u32)> {
    let bytes = fs::read(path)?;
    let wrong = || io::Error::other(format!("{} is not a WAV file of 16 bits", path.display()));
    let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(wrong());
    }
    let (mut at, mut format) = (12, None);
    while let (Some(name), Some(count)) = (bytes.get(at..at + 4), u32_at(at + 4)) {
        let body = at + 8;
        match name {
            b"fmt " => format = Some((u16_at(body + 2), u32_at(body + 4), u16_at(body + 14))),
            b"data" => {
                let Some((Some(channels @ 1..), Some(rate), Some(16))) = format else { return Err(wrong()) };
                let end = body.saturating_add(count as usize).min(bytes.len());
                let end = if count == 0 { bytes.len() } else { end };
                let samples = bytes[body..end].chunks_exact(2 * usize::from(channels));
                return Ok((samples.map(|sample| i16::from_le_bytes([sample[0], sample[1]])).collect(), rate));
            }
            _ => {}
        }
        at = body.saturating_add(count as usize).saturating_add(count as usize & 1);
    }
    Err(wrong())
}

/// Writes a WAV file of 16 bits, one channel, 8 kHz.
pub fn write_wav(path: &Path, samples: &[i16]) -> io::Result<()> {
    let data_bytes = samples.len() as u32 * 2;
    let mut bytes = Vec::with_capacity(44 + data_bytes as usize);
    bytes.extend(b"RIFF");
    bytes.extend((36 + data_bytes).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    [1u16, 1].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    [8_000u32, 16_000].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    [2u16, 16].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes.extend(b"data");
    bytes.extend(data_bytes.to_le_bytes());
    samples.iter().for_each(|sample| bytes.extend(sample.to_le_bytes()));
    fs::write(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_file_comes_back_as_it_went() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write_wav(&path, &[1, -2, 3]).unwrap();
        assert_eq!(read_wav(&path).unwrap(), (vec![1, -2, 3], 8_000));
        fs::write(&path, b"RIFF....WAVEfmt ").unwrap();
        assert!(read_wav(&path).is_err());
    }
}
