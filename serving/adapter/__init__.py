"""The public face of the model: gRPC, REST and a web page in front of a model server. No TensorFlow, no NumPy."""
