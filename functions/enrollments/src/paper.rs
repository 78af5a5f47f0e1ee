//! A certificate on paper: one page of PDF, with its fonts and a QR code in it.
//!
//! What is drawn is few lines of text and some squares, so it's written with the
//! crates that larger ones are made of: the letters that are used are cut out of
//! the fonts, and nothing else is embedded.

use std::collections::BTreeMap;

use anyhow::Context as _;
use pdf_writer::{
    Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr,
    types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap},
};
use qrcodegen::{QrCode, QrCodeEcc};
use runtime::prelude::*;
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId};

use crate::{certificate::Certificate, dates::day};

/// The font `DejaVu` Serif, reduced to Latin, Greek and Cyrillic letters; see `fonts/LICENSE`.
const REGULAR: &[u8] = include_bytes!("../fonts/DejaVuSerif-Latin.ttf");
const BOLD: &[u8] = include_bytes!("../fonts/DejaVuSerif-Bold-Latin.ttf");

/// A4 across, in points.
const WIDTH: f32 = 842.0;
const HEIGHT: f32 = 595.0;
/// Between the page's edge and what is written.
const MARGIN: f32 = 70.0;

/// The certificate as PDF, in a language; the QR code leads to `url`.
pub fn pdf(certificate: &Certificate, url: &str, language: Language) -> anyhow::Result<Vec<u8>> {
    let say = |en: &'static str, es: &'static str| language.choose(en, es);
    let (mut regular, mut bold) = (Font::of(REGULAR)?, Font::of(BOLD)?);
    let mut page = Content::new();
    frame(&mut page);
    let title = say("Certificate of completion", "Certificado de finalización");
    let mut lines = Lines { page: &mut page, y: HEIGHT - 145.0 };
    lines.centered(&mut bold, BOLD_NAME, title, 34.0, 1);
    lines.down(38.0);
    lines.centered(&mut regular, REGULAR_NAME, say("awarded to", "otorgado a"), 14.0, 1);
    lines.down(20.0);
    lines.centered(&mut bold, BOLD_NAME, &certificate.holder_name, 28.0, 2);
    lines.down(20.0);
    let for_what = say("who has completed the course", "por haber completado el curso");
    lines.centered(&mut regular, REGULAR_NAME, for_what, 14.0, 1);
    lines.down(20.0);
    lines.centered(&mut bold, BOLD_NAME, &certificate.course_title, 22.0, 3);
    lines.down(20.0);
    let on = day(certificate.completed_at, language);
    let on = language.choose(format!("on {on}"), format!("el {on}"));
    lines.centered(&mut regular, REGULAR_NAME, &on, 14.0, 1);
    foot(&mut page, &mut regular, certificate, url, language)?;
    assembled(&page.finish(), title, language, [(REGULAR_NAME, regular), (BOLD_NAME, bold)])
}

/// A frame around the page.
fn frame(page: &mut Content) {
    page.set_stroke_rgb(0.13, 0.31, 0.47);
    for (inset, width) in [(24.0, 3.0), (31.0, 0.8)] {
        page.set_line_width(width);
        page.rect(inset, inset, WIDTH - 2.0 * inset, HEIGHT - 2.0 * inset);
        page.stroke();
    }
}

/// The certificate's id, how to check it, and the QR code.
fn foot(
    page: &mut Content,
    font: &mut Font<'_>,
    certificate: &Certificate,
    url: &str,
    language: Language,
) -> anyhow::Result<()> {
    const SIDE: f32 = 84.0;
    let code = QrCode::encode_text(url, QrCodeEcc::Medium).ok().context("an URL fits a QR code")?;
    let modules = i16::try_from(code.size()).unwrap_or(i16::MAX);
    let module = SIDE / f32::from(modules);
    let (left, top) = (WIDTH - MARGIN - SIDE, 50.0 + SIDE);
    page.set_fill_gray(0.0);
    for y in 0..modules {
        for x in (0..modules).filter(|x| code.get_module((*x).into(), y.into())) {
            let (x, y) = (left + f32::from(x) * module, top - f32::from(y + 1) * module);
            page.rect(x, y, module, module);
        }
    }
    page.fill_nonzero();
    let check = language.choose("Check it at:", "Verifícalo en:");
    let id = language.choose("Certificate", "Certificado");
    let issued = language.choose("issued on", "emitido el");
    let first =
        format!("{id} {}, {issued} {}", certificate.id, day(certificate.issued_at, language));
    for (text, y) in [(first.as_str(), 84.0), (check, 70.0), (url, 56.0)] {
        let room = left - MARGIN - 20.0;
        let size = 9.0_f32.min(9.0 * room / font.width(text, 9.0).max(1.0));
        write(page, font, REGULAR_NAME, text, size, (MARGIN, y));
    }
    Ok(())
}

const REGULAR_NAME: Name<'static> = Name(b"Regular");
const BOLD_NAME: Name<'static> = Name(b"Bold");

/// Lines of text, from the top down.
struct Lines<'p> {
    page: &'p mut Content,
    y: f32,
}

impl Lines<'_> {
    fn down(&mut self, by: f32) {
        self.y -= by;
    }

    /// Writes a text in the middle, in at most so many lines; one that's too long
    /// is written smaller.
    fn centered(
        &mut self,
        font: &mut Font<'_>,
        name: Name<'_>,
        text: &str,
        largest: f32,
        most: usize,
    ) {
        let room = WIDTH - 2.0 * MARGIN;
        let mut size = largest;
        let mut lines = wrapped(font, text, size, room);
        while lines.len() > most && size > 8.0 {
            size -= 1.0;
            lines = wrapped(font, text, size, room);
        }
        for line in lines {
            let width = font.width(&line, size);
            let fitting = size.min(size * room / width.max(1.0));
            let x = (WIDTH - font.width(&line, fitting)) / 2.0;
            write(self.page, font, name, &line, fitting, (x, self.y));
            self.y -= size * 1.25;
        }
    }
}

/// A text in lines that have room, broken between words.
fn wrapped(font: &Font<'_>, text: &str, size: f32, room: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if font.width(&format!("{line} {word}"), size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn write(
    page: &mut Content,
    font: &mut Font<'_>,
    name: Name<'_>,
    text: &str,
    size: f32,
    (x, y): (f32, f32),
) {
    let glyphs = font.used(text);
    page.set_fill_gray(0.1);
    page.begin_text().set_font(name, size).next_line(x, y).show(Str(&glyphs)).end_text();
}

/// A font, and which of its letters are used.
struct Font<'d> {
    data: &'d [u8],
    face: Face<'d>,
    remapper: GlyphRemapper,
    /// The letter that each used glyph stands for.
    letters: BTreeMap<u16, char>,
    /// The glyphs as they were, in the order of those that are cut out.
    glyphs: BTreeMap<u16, GlyphId>,
}

impl<'d> Font<'d> {
    fn of(data: &'d [u8]) -> anyhow::Result<Self> {
        let (letters, glyphs) = (BTreeMap::new(), BTreeMap::from([(0, GlyphId(0))]));
        let face = Face::parse(data, 0).context("the font is one")?;
        Ok(Self { data, face, remapper: GlyphRemapper::new(), letters, glyphs })
    }

    /// The glyph of a letter; of one that the font hasn't, an empty box.
    fn glyph(&self, letter: char) -> GlyphId {
        self.face.glyph_index(letter).unwrap_or(GlyphId(0))
    }

    /// A glyph's advance, in thousandths of the size.
    fn advance(&self, glyph: GlyphId) -> f32 {
        let advance = self.face.glyph_hor_advance(glyph).unwrap_or_default();
        f32::from(advance) * 1000.0 / f32::from(self.face.units_per_em())
    }

    fn width(&self, text: &str, size: f32) -> f32 {
        let advances = text.chars().map(|letter| self.advance(self.glyph(letter)));
        advances.sum::<f32>() * size / 1000.0
    }

    /// A text as the glyphs that are cut out for it, two bytes each.
    fn used(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * text.len());
        for letter in text.chars() {
            let glyph = self.glyph(letter);
            let cut = self.remapper.remap(glyph.0);
            self.letters.insert(cut, letter);
            self.glyphs.insert(cut, glyph);
            bytes.extend(cut.to_be_bytes());
        }
        bytes
    }
}

const SYSTEM: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// The document of a page.
fn assembled(
    page: &[u8],
    title: &str,
    language: Language,
    fonts: [(Name<'_>, Font<'_>); 2],
) -> anyhow::Result<Vec<u8>> {
    let mut next = 0;
    let mut reference = || {
        next += 1;
        Ref::new(next)
    };
    let [catalog, pages, sheet, content, info] = std::array::from_fn(|_| reference());
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(pages).lang(TextStr(language.code()));
    pdf.pages(pages).kids([sheet]).count(1);
    pdf.document_info(info).title(TextStr(title)).producer(TextStr("Aula"));
    let fonts = fonts.map(|(name, font)| (name, font, reference()));
    let mut its = pdf.page(sheet);
    its.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(pages).contents(content);
    let mut resources = its.resources();
    let mut named = resources.fonts();
    for (name, _, id) in &fonts {
        named.pair(*name, *id);
    }
    named.finish();
    resources.finish();
    its.finish();
    pdf.stream(content, page);
    for (name, font, id) in &fonts {
        let parts = std::array::from_fn(|_| reference());
        embed(&mut pdf, *name, font, *id, parts)?;
    }
    Ok(pdf.finish())
}

/// Embeds the letters of a font that are used.
fn embed(
    pdf: &mut Pdf,
    name: Name<'_>,
    font: &Font<'_>,
    id: Ref,
    [cid, descriptor, file, unicode]: [Ref; 4],
) -> anyhow::Result<()> {
    let full = [b"AULAAA+DejaVuSerif-", name.0].concat();
    let full = Name(&full);
    pdf.type0_font(id)
        .base_font(full)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(cid)
        .to_unicode(unicode);
    let mut its = pdf.cid_font(cid);
    its.subtype(CidFontType::Type2)
        .base_font(full)
        .system_info(SYSTEM)
        .font_descriptor(descriptor)
        .default_width(0.0)
        .cid_to_gid_map_predefined(Name(b"Identity"));
    its.widths().consecutive(0, font.glyphs.values().map(|glyph| font.advance(*glyph)));
    its.finish();
    let scaled = |units: i16| f32::from(units) * 1000.0 / f32::from(font.face.units_per_em());
    let bounds = font.face.global_bounding_box();
    let bounds = Rect::new(
        scaled(bounds.x_min),
        scaled(bounds.y_min),
        scaled(bounds.x_max),
        scaled(bounds.y_max),
    );
    pdf.font_descriptor(descriptor)
        .name(full)
        .flags(FontFlags::SYMBOLIC | FontFlags::SERIF)
        .bbox(bounds)
        .italic_angle(0.0)
        .ascent(scaled(font.face.ascender()))
        .descent(scaled(font.face.descender()))
        .cap_height(scaled(font.face.capital_height().unwrap_or_default()))
        .stem_v(90.0)
        .font_file2(file);
    let mut cmap = UnicodeCmap::new(Name(b"Aula"), SYSTEM);
    for (glyph, letter) in &font.letters {
        cmap.pair(*glyph, *letter);
    }
    pdf.cmap(unicode, &cmap.finish());
    let cut = subsetter::subset(font.data, 0, &font.remapper).context("the font can be cut")?;
    pdf.stream(file, &cut);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{enrollment::Enrollment, seats::Seats, tests::section as facts};

    fn certificate(course_title: &str, holder_name: &str) -> Certificate {
        let at: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let enrollment = Enrollment::blank(&Seats::of(&facts(None)), &"ada".into(), at);
        Certificate::of(&enrollment, at, course_title, holder_name, at)
    }

    fn printed(course_title: &str, holder_name: &str) -> Vec<u8> {
        let url = "https://aula.example/v1/certificates/c0ffee/page";
        pdf(&certificate(course_title, holder_name), url, Language::Es).unwrap()
    }

    #[test]
    fn a_paper_is_small_and_the_same_for_the_same_facts() {
        let one = printed("Programación en Rust", "José Ñandú Peña");
        assert!(one.starts_with(b"%PDF-") && one.ends_with(b"%%EOF"));
        assert!(one.len() < 60_000, "{} bytes", one.len());
        assert_eq!(one, printed("Programación en Rust", "José Ñandú Peña"));
        assert_ne!(one, printed("Programación en Rust", "Ana Peña"));
    }

    #[test]
    fn no_name_and_no_title_is_too_long_or_too_strange() {
        let endless = "endless ".repeat(60);
        for (title, name) in [
            (endless.as_str(), endless.as_str()),
            ("", ""),
            ("王小明", "\u{1f600}"),
            (&"x".repeat(300), &"y".repeat(300)),
        ] {
            assert!(printed(title, name).starts_with(b"%PDF-"));
        }
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        let font = Font::of(REGULAR).unwrap();
        let lines = wrapped(&font, "one two three four", 20.0, font.width("one two t", 20.0));
        assert_eq!(lines, ["one two", "three", "four"]);
    }
}
