// Find the faces of a picture with facegeom.onnx and ONNX Runtime alone.
//
//   facegeom export onnx -o facegeom.onnx
//   java -cp onnxruntime-VERSION.jar Faces.java facegeom.onnx photo.jpg
//
// The jar is com.microsoft.onnxruntime:onnxruntime of Maven Central. Java itself reads the picture.

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Locale;
import java.util.Map;
import javax.imageio.ImageIO;

public final class Faces {
    /** Return the pixels row by row, three bytes each: red, green, blue. */
    static ByteBuffer pixels(BufferedImage image) {
        ByteBuffer rgb = ByteBuffer.allocateDirect(image.getWidth() * image.getHeight() * 3);
        for (int y = 0; y < image.getHeight(); y++) {
            for (int x = 0; x < image.getWidth(); x++) {
                int pixel = image.getRGB(x, y);
                rgb.put((byte) (pixel >> 16)).put((byte) (pixel >> 8)).put((byte) pixel);
            }
        }
        rgb.rewind();
        return rgb;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 2) {
            throw new IllegalArgumentException("usage: Faces.java facegeom.onnx photo.jpg");
        }
        BufferedImage image = ImageIO.read(new File(arguments[1]));
        if (image == null) {
            throw new IOException("expected a picture that Java reads (JPEG, PNG, GIF, BMP): " + arguments[1]);
        }
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        long[] shape = {image.getHeight(), image.getWidth(), 3};
        try (OrtSession session = environment.createSession(arguments[0], new OrtSession.SessionOptions());
                OnnxTensor input = OnnxTensor.createTensor(
                        environment, pixels(image), shape, ai.onnxruntime.OnnxJavaType.UINT8);
                OrtSession.Result found = session.run(Map.of("image", input))) {
            float[] scores = (float[]) found.get("scores").orElseThrow().getValue();
            float[][] boxes = (float[][]) found.get("boxes_xyxy").orElseThrow().getValue();
            float[][][] meshes = (float[][][]) found.get("mesh_px").orElseThrow().getValue();
            float[][][] rotations = (float[][][]) found.get("rotations").orElseThrow().getValue();
            for (int face = 0; face < scores.length; face++) {
                float[] box = boxes[face], nose = meshes[face][1]; // mesh point 1: the tip of the nose
                float[][] r = rotations[face];
                System.out.printf(Locale.ROOT,
                        "score %.3f box %.1f %.1f %.1f %.1f nose %.1f %.1f yaw %.1f pitch %.1f roll %.1f%n",
                        scores[face], box[0], box[1], box[2], box[3], nose[0], nose[1],
                        Math.toDegrees(Math.asin(r[2][0])), -Math.toDegrees(Math.atan2(r[2][1], r[2][2])),
                        Math.toDegrees(Math.atan2(r[1][0], r[0][0])));
            }
        }
    }
}
