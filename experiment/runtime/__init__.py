"""How a network runs: by OpenVINO on a CPU, or by torch on anything else. Choosing needs neither of them."""
