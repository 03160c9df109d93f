from gated_pixelcnn.cli.sample import run

if __name__ == "__main__":
    run()
