// Find the faces of a picture with facegeom.onnx and ONNX Runtime alone.
//
//   facegeom export onnx -o facegeom.onnx
//   g++ -std=c++17 -O2 faces.cpp -I ONNXRUNTIME/include -L ONNXRUNTIME/lib -lonnxruntime -o faces
//   ./faces facegeom.onnx photo.ppm
//
// The picture is a binary PPM file, which every picture program writes: magick photo.jpg photo.ppm

#include <onnxruntime_cxx_api.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Image {
    int64_t width = 0, height = 0;
    std::vector<uint8_t> rgb;  // row by row, three bytes a pixel
};

Image read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string kind;
    int64_t most = 0;
    Image image;
    file >> kind >> image.width >> image.height >> most;
    if (!file || kind != "P6" || most != 255 || image.width < 1 || image.height < 1)
        throw std::runtime_error("expected a binary PPM file (P6, 255) without comments: " + path);
    file.get();  // the one blank after the header
    image.rgb.resize(image.width * image.height * 3);
    file.read(reinterpret_cast<char*>(image.rgb.data()), static_cast<std::streamsize>(image.rgb.size()));
    if (!file) throw std::runtime_error("the file ends early: " + path);
    return image;
}

int main(int count, char** arguments) try {
    if (count != 3) throw std::runtime_error("usage: faces facegeom.onnx photo.ppm");
    Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "faces");
    const std::string path = arguments[1];  // on Windows the session takes a wide string
    Ort::Session session(environment, std::basic_string<ORTCHAR_T>(path.begin(), path.end()).c_str(), {});

    Image image = read_ppm(arguments[2]);
    const std::array<int64_t, 3> shape{image.height, image.width, 3};
    auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    auto input = Ort::Value::CreateTensor<uint8_t>(memory, image.rgb.data(), image.rgb.size(), shape.data(), 3);

    const char* inputs[] = {"image"};
    const char* outputs[] = {"boxes_xyxy", "scores", "mesh_px", "rotations"};
    auto found = session.Run({}, inputs, &input, 1, outputs, 4);

    const auto faces = found[1].GetTensorTypeAndShapeInfo().GetElementCount();
    for (size_t face = 0; face < faces; face++) {
        const float* box = found[0].GetTensorData<float>() + face * 4;
        const float* nose = found[2].GetTensorData<float>() + (face * 478 + 1) * 3;  // mesh point 1: its tip
        const float* r = found[3].GetTensorData<float>() + face * 9;
        const double degrees = 180 / std::acos(-1.0);
        std::printf("score %.3f box %.1f %.1f %.1f %.1f nose %.1f %.1f yaw %.1f pitch %.1f roll %.1f\n",
                    found[1].GetTensorData<float>()[face], box[0], box[1], box[2], box[3], nose[0], nose[1],
                    std::asin(r[6]) * degrees, -std::atan2(r[7], r[8]) * degrees, std::atan2(r[3], r[0]) * degrees);
    }
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
}
