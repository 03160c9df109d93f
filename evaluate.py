from gated_pixelcnn.cli.evaluate import run

if __name__ == "__main__":
    run()
