// Find the faces of a picture with facegeom.onnx and ONNX Runtime alone.
//
//   facegeom export onnx -o facegeom.onnx
//   dotnet new console -o faces && cd faces && dotnet add package Microsoft.ML.OnnxRuntime
//   cp ../Faces.cs Program.cs && dotnet run ../facegeom.onnx ../photo.ppm
//
// The picture is a binary PPM file, which every picture program writes: magick photo.jpg photo.ppm

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

static class Faces
{
    /// <summary>Read a binary PPM file as (height, width, 3) bytes: red, green, blue.</summary>
    static DenseTensor<byte> ReadPpm(string path)
    {
        byte[] content = File.ReadAllBytes(path);
        var header = new List<string>();
        int at = 0;
        while (header.Count < 4)
        {
            int start = at;
            while (at < content.Length && !char.IsWhiteSpace((char)content[at])) at++;
            if (at == content.Length) throw new InvalidDataException("expected a binary PPM file: " + path);
            if (at > start) header.Add(System.Text.Encoding.ASCII.GetString(content, start, at - start));
            at++; // one blank ends each entry
        }
        int width = int.Parse(header[1]), height = int.Parse(header[2]);
        if (header[0] != "P6" || header[3] != "255" || content.Length - at != width * height * 3)
            throw new InvalidDataException("expected a binary PPM file (P6, 255) without comments: " + path);
        return new DenseTensor<byte>(content.Skip(at).ToArray(), new[] { height, width, 3 });
    }

    static int Main(string[] arguments)
    {
        if (arguments.Length != 2)
        {
            Console.Error.WriteLine("usage: faces facegeom.onnx photo.ppm");
            return 1;
        }
        using (var session = new InferenceSession(arguments[0]))
        using (var found = session.Run(new[] { NamedOnnxValue.CreateFromTensor("image", ReadPpm(arguments[1])) }))
        {
            var outputs = found.ToDictionary(each => each.Name, each => each.AsTensor<float>());
            Tensor<float> scores = outputs["scores"], boxes = outputs["boxes_xyxy"];
            Tensor<float> meshes = outputs["mesh_px"], rotations = outputs["rotations"];
            const double Degrees = 180 / Math.PI;
            for (int face = 0; face < scores.Length; face++)
            {
                Func<int, int, double> r = (row, column) => rotations[face, row, column];
                Console.WriteLine(string.Format(CultureInfo.InvariantCulture,
                    "score {0:F3} box {1:F1} {2:F1} {3:F1} {4:F1} nose {5:F1} {6:F1} yaw {7:F1} pitch {8:F1} roll {9:F1}",
                    scores[face], boxes[face, 0], boxes[face, 1], boxes[face, 2], boxes[face, 3],
                    meshes[face, 1, 0], meshes[face, 1, 1], // mesh point 1: the tip of the nose
                    Math.Asin(r(2, 0)) * Degrees, -Math.Atan2(r(2, 1), r(2, 2)) * Degrees,
                    Math.Atan2(r(1, 0), r(0, 0)) * Degrees));
            }
        }
        return 0;
    }
}
