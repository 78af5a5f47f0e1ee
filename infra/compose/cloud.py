#!/usr/bin/env python3
"""What Google's emulators leave out, for infra/compose.yaml: a topic for each event and a push subscription for each
subscriber, the metadata server that makes ID tokens, and the scheduler. Only what Python and openssl bring along.

It tells everyone that they are the same account, and pushes carry no token: this is for one machine, and nothing else.
"""

import base64
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

PROJECT = os.environ["GOOGLE_CLOUD_PROJECT"]
PUBSUB = f"http://{os.environ['PUBSUB_EMULATOR_HOST']}/v1/projects/{PROJECT}"
KEYS = Path(os.environ.get("AULA_KEYS", "/keys"))
MANIFEST = json.loads(Path(os.environ.get("AULA_MANIFEST", "/manifest.json")).read_text())
PORT = int(os.environ.get("PORT", "8090"))
# One container a domain; a test may have them elsewhere.
ADDRESS = os.environ.get("AULA_DOMAIN_ADDRESS", "http://{domain}:8080")
ACCOUNT = "aula@compose.local"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


def make_keys():
    """A key for access tokens, which identity reads, and one for ID tokens, which stays here."""
    KEYS.mkdir(exist_ok=True)
    for name in ("signing", "google"):
        path = KEYS / f"{name}.pem"
        if not path.exists():
            openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(path))
        # Identity isn't root in its container.
        path.chmod(0o644)


def id_token(audience):
    now = int(time.time())
    header = {"alg": "RS256", "typ": "JWT", "kid": "compose"}
    claims = {"iss": "https://accounts.google.com", "aud": audience, "sub": "1", "email": ACCOUNT, "email_verified": True,
              "iat": now, "exp": now + 3600}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    signature = openssl("dgst", "-sha256", "-sign", str(KEYS / "google.pem"), given=signed.encode())
    return f"{signed}.{base64url(signature)}"


def certs():
    modulus = openssl("rsa", "-in", str(KEYS / "google.pem"), "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
    key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "compose", "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}
    return json.dumps({"keys": [key]})


class Metadata(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlparse(self.path)
        if url.path == "/certs":
            return self.answer(certs(), "application/json")
        if self.headers.get("Metadata-Flavor") != "Google":
            return self.send_error(403)
        if url.path.endswith("/identity"):
            return self.answer(id_token(parse_qs(url.query)["audience"][0]), "text/plain")
        if url.path.endswith("/token"):
            token = {"access_token": "owner", "expires_in": 3600, "token_type": "Bearer"}
            return self.answer(json.dumps(token), "application/json")
        if url.path.endswith("/project/project-id"):
            return self.answer(PROJECT, "text/plain")
        return self.send_error(404)

    def answer(self, text, media_type):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Metadata-Flavor", "Google")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Tokens don't belong in a log."""


def send(method, url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=200) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def address(function):
    return ADDRESS.format(domain=function["domain"])


def lay_out():
    """Topics first, then who subscribes to them. No retry policy: with one the emulator loses messages."""

    def put(what, name, body):
        status = send("PUT", f"{PUBSUB}/{what}/{name}", body)
        if status not in (200, 409):
            raise SystemExit(f"{what}/{name}: the emulator answered {status}")

    dead = f"projects/{PROJECT}/topics/dead-letters"
    for topic in [*MANIFEST["topics"], "dead-letters"]:
        put("topics", topic, {})
    put("subscriptions", "dead-letters", {"topic": dead})
    for name, function in MANIFEST["functions"].items():
        if function["kind"] == "subscriber":
            put("subscriptions", name, {
                "topic": f"projects/{PROJECT}/topics/{function['topic']}",
                "ackDeadlineSeconds": 60,
                "pushConfig": {"pushEndpoint": f"{address(function)}/events/{function['target']}"},
                "deadLetterPolicy": {"deadLetterTopic": dead, "maxDeliveryAttempts": 10},
            })


def keep_time():
    """Runs each job every minute, which is as often as any wants; a job that has nothing to do says so itself."""
    while True:
        time.sleep(60 - time.time() % 60)
        for function in MANIFEST["functions"].values():
            if function["kind"] == "job":
                url = f"{address(function)}/jobs/{function['target']}"
                threading.Thread(target=run_job, args=(url,), daemon=True).start()


def run_job(url):
    try:
        status = send("POST", url, {})
    except OSError as error:
        status = error
    if status != 204:
        print(f"{url}: {status}", flush=True)


if __name__ == "__main__":
    make_keys()
    lay_out()
    threading.Thread(target=keep_time, daemon=True).start()
    print(f"topics, subscriptions and keys are there; listening on {PORT}", flush=True)
    ThreadingHTTPServer(("0.0.0.0", PORT), Metadata).serve_forever()
