"""What the scripts beside this file share: starting the programs, talking to them, OULAD's hits."""
import atexit, csv, http.client, io, json, os, pathlib, platform, shutil, signal, socket, subprocess, sys
import tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
BINARY = os.environ.get("MAYFLY_BINARY", HERE.parent / "target/release/mayfly")
DAY = 86_400
# A browser's: of an automaton no hit is taken.
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36"
# Categories are activity types under modules; windows, frequencies, negation, parents.
SEGMENTS = [
    'visited("AAA", within 30d) >= 3',
    'visited("GGG", within 90d) >= 20',
    'visited("AAA > forumng", within 7d)',
    'visited("AAA > oucontent", within 14d) >= 2 and not visited("AAA > forumng", within 7d)',
    'visited("GGG > quiz", within 30d) or visited("GGG > oucontent", within 30d)',
    'at least 2 of (visited("AAA > url", within 60d), visited("AAA > resource", within 60d), '
    'visited("AAA > subpage", within 60d))',
    'visited("GGG > homepage", between 30d and 7d ago)',
    'visited("GGG", within 60d) >= 10 and not visited("GGG", within 3d)',
    'visited("AAA > homepage", earlier than 30d)',
    'visited("GGG > forumng", within 90d) == 1',
    'visited("*", within 7d) >= 5',
    'visited("AAA", within 90d) and not visited("AAA > dataplus", within 90d)',
]


def say_where():
    """The command line and the machine: figures without them mean nothing."""
    print("$", " ".join(sys.argv))
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if "model name" in l), "?")
    load = os.getloadavg()[0]
    print(f"machine: {os.cpu_count()} cores ({cpu}), Linux {platform.release()}, "
          f"load {load:.1f} at the start", flush=True)


def need(*tools):
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        sys.exit(f"{', '.join(missing)}: missing; deploy/install-test-tools.sh installs them")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(line, **options):
    """Starts a program that does not outlive this one."""
    server = subprocess.Popen(line, **options)
    atexit.register(lambda: server.poll() is None and server.kill())
    return server


def visitor_cookies(port, number):
    """Real visitors: each follows the probe's redirect and keeps what it is given."""
    found, c = [], http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(number):
        agent = {"User-Agent": AGENT}
        c.request("GET", "/p.gif?s=news&u=https%3A%2F%2Fnews.example%2Fstart", headers=agent)
        r = c.getresponse(); r.read()
        probe, to = r.getheader("set-cookie").split(";")[0], r.getheader("location")
        c.request("GET", "/p.gif" + to[to.index("?"):], headers={"Cookie": probe, **agent})
        r = c.getresponse(); r.read()
        found.append(r.getheader("set-cookie").split(";")[0])
    return found


class Redis:
    """A redis-server on loopback, and as much of its protocol as is asked here."""

    def __init__(self, folder):
        folder.mkdir()
        self.port = free_port()
        self.server = start(
            ["redis-server", HERE.parent / "deploy/redis.conf", "--port", str(self.port),
             "--bind", "127.0.0.1", "--dir", folder], stdout=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port))
                break
            except OSError:
                time.sleep(0.05)
        self.stream = self.socket.makefile("rb")

    def send(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        head = b"*%d\r\n" % len(words)
        self.socket.sendall(head + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def read(self):
        line = self.stream.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        if kind == b":":
            return int(rest)
        if kind == b"-":
            sys.exit(rest.decode())
        return rest

    def __call__(self, *words):
        self.send(*words)
        return self.read()

    def used(self):
        """`used_memory`: everything, the server's own tables included."""
        info = self("INFO", "memory").decode()
        return int(next(l for l in info.splitlines() if l.startswith("used_memory:")).split(":")[1])

    def keys(self):
        """Bytes and number of keys by the kind in their name."""
        found, cursor = {}, b"0"
        while True:
            cursor, names = self("SCAN", cursor, "COUNT", 1000)
            for name in names:
                self.send("MEMORY", "USAGE", name, "SAMPLES", 0)
            for name in names:
                bytes_of, number = found.get(kind(name), (0, 0))
                found[kind(name)] = bytes_of + (self.read() or 0), number + 1
            if cursor == b"0":
                return found

    def stop(self):
        self.server.terminate()
        self.server.wait(30)


def kind(name):
    """`hits` of `mf:{0.3.17}:hits:20778`."""
    parts = name.decode("latin-1").split(":")
    return parts[2] if parts[1].startswith("{") else parts[1]


class Mayfly:
    """A `mayfly serve` on loopback."""

    def __init__(self, folder, store="", roles=(), **settings):
        self.data, self.port = folder, free_port()
        # A load has few visitors who are faster than people, and one token.
        self.env = dict(os.environ, MAYFLY_LOG__LEVEL="warn", MAYFLY_COLLECTOR__TOKEN_HITS_PER_S="0",
                        MAYFLY_COLLECTOR__HITS_PER_MINUTE_MAX="0")
        if store:
            self.env["MAYFLY_STORE__URL"] = store
        self.env.update({f"MAYFLY_{name.upper()}": str(value) for name, value in settings.items()})
        line = [BINARY, "serve", "--data", folder, "--bind", f"127.0.0.1:{self.port}"]
        for role in roles:
            line += ["--role", role]
        started = time.monotonic()
        self.server = start(line, env=self.env)
        while self.get("/ready", quiet=True)[0] != 200:
            if self.server.poll() is not None:
                sys.exit("mayfly ended before it was ready")
            time.sleep(0.002)
        self.ready_after = time.monotonic() - started
        self.token = (folder / "admin.token").read_text().strip()

    def call(self, method, path, body=None, kind="application/json", **headers):
        """Status, headers and body of one request on the one connection that is kept."""
        if getattr(self, "connection", None) is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        if hasattr(self, "token"):
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            self.connection.request(method, path, body, {"Content-Type": kind, **headers})
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except OSError:
            self.connection = None
            raise

    def get(self, path, quiet=False):
        try:
            status, _, body = self.call("GET", path)
        except (OSError, http.client.HTTPException) as error:
            self.connection = None
            if quiet:
                return 0, b""
            # A connection that was idle for long is closed.
            again = isinstance(error, http.client.RemoteDisconnected)
            return self.get(path, quiet=True) if again else sys.exit(f"GET {path}: {error}")
        if status != 200 and not quiet:
            sys.exit(f"GET {path}: {status} {body.decode()[:300]}")
        return status, body

    def json(self, path):
        return json.loads(self.get(path)[1])

    def metrics(self):
        lines = self.get("/metrics")[1].decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def post_hits(self, hits):
        """Sends hits in one body; answers how many were stored."""
        status, _, body = self.call("POST", "/api/v1/hits", json.dumps(hits))
        answer = json.loads(body)
        if status != 200 or answer["refused"]:
            sys.exit(f"hits were refused: {status} {body.decode()[:300]}")
        return answer["outcomes"].get("stored", 0)

    def apply(self, text):
        status, _, body = self.call("POST", "/api/v1/definitions/apply", text, "text/plain")
        if status != 200:
            sys.exit(f"definitions were refused: {status} {body.decode()[:500]}")

    def memory(self):
        """Resident bytes."""
        status = open(f"/proc/{self.server.pid}/status").read()
        return int(next(l for l in status.splitlines() if l.startswith("VmRSS")).split()[1]) * 1024

    def stop(self):
        self.server.send_signal(signal.SIGTERM)
        self.server.wait(120)
        self.connection = None

    def kill(self):
        self.server.kill()
        self.server.wait(30)
        self.connection = None


class Oulad:
    """The Open University's clickstream: one hit for each row (a student's clicks on a page on a
    day), or for each click. Each course is moved so that its newest day is today; the newest 88
    days are taken."""

    def __init__(self, folder, clicks=False):
        need("zstd")
        with open(folder / "vle.csv") as file:
            activity = {row["id_site"]: row["activity_type"] for row in csv.DictReader(file)}
        packed = folder / "studentVle_hand.csv.zst"
        text = subprocess.run(["zstd", "-dc", packed], capture_output=True, check=True).stdout
        rows = list(csv.DictReader(io.StringIO(text.decode())))
        course = lambda row: (row["code_module"], row["code_presentation"])
        newest = {}
        for row in rows:
            newest[course(row)] = max(newest.get(course(row), -999), int(row["date"]))
        now = int(time.time())
        self.hits, categories = [], set()
        for number, row in enumerate(rows):
            ago = newest[course(row)] - int(row["date"])
            if ago > 87:
                continue
            start = now - now % DAY - ago * DAY
            place = row["code_module"], activity[row["id_site"]]
            categories.add(place)
            for click in range(int(row["sum_click"]) if clicks else 1):
                # The set has days only; the second is any, but not in the future.
                second = (number * 7919 + click * 37) % min(DAY, max(1, now - start))
                self.hits.append({
                    "id": f"oulad:{number}:{click}", "site": "vle", "time": (start + second) * 1000,
                    "visitor": {"space": "student", "id": row["id_student"]},
                    "url": f"https://vle.example/{place[0]}/{place[1]}/{row['id_site']}",
                    "title": f"{place[1]} {row['id_site']}"})
        self.hits.sort(key=lambda hit: hit["time"])
        self.definitions = 'format = 1\n[[site]]\nkey = "vle"\norigins = ["https://vle.example"]\n'
        for module, name in sorted(categories):
            self.definitions += (f'[[category]]\nname = "{module} > {name}"\n'
                                 f"rule = 'path startswith \"/{module}/{name}/\"'\n")
        for number, rule in enumerate(SEGMENTS):
            self.definitions += f"[[segment]]\nname = \"s{number}\"\nrule = '{rule}'\n"


def percentiles(seconds):
    """Median, 99th percentile and maximum, as text in milliseconds."""
    ordered = sorted(seconds)
    p50, p99 = (ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 99))
    return (f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, max {ordered[-1] * 1e3:.1f} ms "
            f"({len(ordered)} times)")


def bodies(hits, size):
    return (hits[at:at + size] for at in range(0, len(hits), size))


def data_folder():
    default = HERE.parent.parent / "shared/data"
    return pathlib.Path(os.environ.get("MAYFLY_DATA", default)) / "oulad/hand"


def scratch():
    return tempfile.TemporaryDirectory(prefix="mayfly-bench-")
