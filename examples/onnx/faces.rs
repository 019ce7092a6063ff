// Find the faces of a picture with facegeom.onnx and ONNX Runtime alone, through the crate `ort`.
//
//   facegeom export onnx -o facegeom.onnx
//   cargo init faces && cd faces && cargo add ort@2.0.0-rc.10
//   cp ../faces.rs src/main.rs && cargo run --release -- ../facegeom.onnx ../photo.ppm
//
// The picture is a binary PPM file, which every picture program writes: magick photo.jpg photo.ppm

use ort::{session::Session, value::Tensor};
use std::error::Error;

struct Image {
    width: usize,
    height: usize,
    rgb: Vec<u8>, // row by row, three bytes a pixel
}

fn read_ppm(path: &str) -> Result<Image, Box<dyn Error>> {
    let content = std::fs::read(path)?;
    let mut header = Vec::new();
    let mut at = 0;
    while header.len() < 4 {
        let length = content
            .get(at..)
            .unwrap_or_default()
            .iter()
            .position(u8::is_ascii_whitespace)
            .ok_or("expected a PPM file")?;
        if length > 0 {
            header.push(std::str::from_utf8(&content[at..at + length])?);
        }
        at += length + 1; // one blank ends each entry
    }
    let (width, height) = (header[1].parse()?, header[2].parse()?);
    if header[0] != "P6" || header[3] != "255" || content.len() - at != width * height * 3 {
        return Err("expected a binary PPM file (P6, 255) without comments".into());
    }
    Ok(Image {
        width,
        height,
        rgb: content[at..].to_vec(),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, photo] = arguments.as_slice() else {
        return Err("usage: faces facegeom.onnx photo.ppm".into());
    };
    let mut session = Session::builder()?.commit_from_file(model)?;
    let image = read_ppm(photo)?;
    let input = Tensor::from_array(([image.height, image.width, 3], image.rgb))?;
    let found = session.run(ort::inputs!["image" => input])?;
    let (_, scores) = found["scores"].try_extract_tensor::<f32>()?;
    let (_, boxes) = found["boxes_xyxy"].try_extract_tensor::<f32>()?;
    let (_, meshes) = found["mesh_px"].try_extract_tensor::<f32>()?;
    let (_, rotations) = found["rotations"].try_extract_tensor::<f32>()?;
    for (face, score) in scores.iter().enumerate() {
        let edges = &boxes[face * 4..][..4];
        let nose = &meshes[(face * 478 + 1) * 3..][..3]; // mesh point 1: the tip of the nose
        let r = &rotations[face * 9..][..9];
        println!(
            "score {score:.3} box {:.1} {:.1} {:.1} {:.1} nose {:.1} {:.1} yaw {:.1} pitch {:.1} roll {:.1}",
            edges[0], edges[1], edges[2], edges[3], nose[0], nose[1],
            r[6].asin().to_degrees(), -r[7].atan2(r[8]).to_degrees(), r[3].atan2(r[0]).to_degrees(),
        );
    }
    Ok(())
}
