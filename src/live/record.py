# SPDX-License-Identifier: Apache-2.0
"""Labelled traffic of real programs: servers in one network namespace, each client class in its own.

    record.py OUT --name NAME --seconds S --train N --test N --seed N

A run starts the servers, one tcpdump per client and all clients, and ends them after S seconds. The captures
of a run are merged by time. Everything stays inside namespaces that are removed at the end; every loop is
bounded by time, and the attack classes by numbers as well.
"""
import argparse, gzip, os, random, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time

SNAP = 90  # bytes of every packet that are kept: all headers, hardly any content
# class, IPv6, VLAN
CLIENTS = [
    ("web", False, False), ("stream", False, True), ("bulk-tcp", True, False), ("bulk-udp", False, False),
    ("dns", True, False), ("ntp", False, False), ("mqtt-sensor", False, True), ("mqtt-camera", True, False),
    ("ssh-shell", False, False), ("ssh-copy", True, True), ("scan", False, False), ("flood", False, False),
]
NEEDED = ["ip", "tcpdump", "ethtool", "curl", "dnsmasq", "dig", "mosquitto", "mosquitto_pub", "chronyd", "sshd", "ssh",
          "ssh-keygen", "iperf3"]
os.environ["PATH"] += ":/usr/sbin:/sbin"
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


def run(*argv, check=True):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if check and p.returncode:
        raise RuntimeError("%s: %s" % (" ".join(argv), p.stdout.strip().splitlines()[-1] if p.stdout.strip() else
                                       "exit status %d" % p.returncode))


class Lab:
    """Namespaces and links; remembers the processes it started."""

    def __init__(self, name, tmp):
        self.name, self.tmp, self.procs, self.lock = name, tmp, [], threading.Lock()
        self.vlan_devices = False

    def ns(self, what):
        return "%s.%s" % (self.name, what)

    def remove(self):
        for p in self.procs:
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
        deadline = time.time() + 3
        for p in self.procs:
            try:
                p.wait(max(0.05, deadline - time.time()))
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.procs = []
        if os.path.isdir("/run/netns"):
            for n in os.listdir("/run/netns"):
                if n.startswith(self.name + "."):
                    run("ip", "netns", "delete", n, check=False)

    def start(self, where, argv, **kw):
        p = subprocess.Popen(["ip", "netns", "exec", self.ns(where)] + argv, stdin=subprocess.DEVNULL,
                             stdout=kw.get("stdout", subprocess.DEVNULL), stderr=subprocess.DEVNULL)
        with self.lock:
            self.procs.append(p)
        return p

    def make(self):
        self.remove()
        run("ip", "netns", "add", self.ns("srv"))
        run("ip", "-n", self.ns("srv"), "link", "set", "lo", "up")
        self.vlan_devices = self.can_tag()
        for k, (cls, _, vlan) in enumerate(CLIENTS, 1):
            run("ip", "netns", "add", self.ns(cls))
            run("ip", "link", "add", "c%d" % k, "netns", self.ns("srv"), "type", "veth", "peer", "name", "eth0",
                "netns", self.ns(cls))
            self.side("srv", "c%d" % k, k, 1, vlan)
            self.side(cls, "eth0", k, 2, vlan)

    def can_tag(self):
        """A kernel without VLAN devices: tags are put into the recorded frames instead."""
        p = subprocess.run(["ip", "-n", self.ns("srv"), "link", "add", "link", "lo", "name", "try", "type", "vlan", "id",
                            "10"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if p.returncode == 0:
            run("ip", "-n", self.ns("srv"), "link", "delete", "try", check=False)
        return p.returncode == 0

    def side(self, where, dev, k, host, vlan):
        ns = self.ns(where)
        for o in ("tso", "gso", "gro", "rx", "tx", "rxvlan", "txvlan"):
            run("ip", "netns", "exec", ns, "ethtool", "-K", dev, o, "off", check=False)
        run("ip", "-n", ns, "link", "set", dev, "up")
        if vlan and self.vlan_devices:
            run("ip", "-n", ns, "link", "add", "link", dev, "name", dev + ".10", "type", "vlan", "id", "10")
            dev += ".10"
            run("ip", "-n", ns, "link", "set", dev, "up")
        run("ip", "-n", ns, "addr", "add", "10.77.%d.%d/24" % (k, host), "dev", dev)
        run("ip", "-n", ns, "addr", "add", "fd77:%d::%d/64" % (k, host), "dev", dev, "nodad")

    def command(self, where, argv, seconds=10):
        """One bounded command of a client; what it prints or returns does not matter."""
        p = self.start(where, argv)
        try:
            p.wait(seconds)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        with self.lock:
            if p in self.procs:
                self.procs.remove(p)


# --- servers -------------------------------------------------------------------------------------------------

def write(path, text, mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def start_servers(lab):
    t = lab.tmp
    os.makedirs(t + "/www", exist_ok=True)
    for i in range(40):
        with open("%s/www/page%d" % (t, i), "wb") as f:
            f.write(os.urandom(400 + 700 * i))
    for name, size in (("segment", 60000), ("file", 400000)):
        with open("%s/www/%s" % (t, name), "wb") as f:
            f.write(os.urandom(size))
    lab.start("srv", [PYTHON, "-m", "http.server", "8080", "--directory", t + "/www"])
    lab.start("srv", ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--port=53",
                      "--user=root", "--address=/test/192.0.2.7", "--address=/test/2001:db8::7",
                      "--txt-record=long.test," + "x" * 200])
    write(t + "/mosquitto.conf", "listener 1883\nallow_anonymous true\npersistence false\nuser root\n")
    lab.start("srv", ["mosquitto", "-c", t + "/mosquitto.conf"])
    write(t + "/chrony.conf", "local stratum 8\nallow all\nport 123\ncmdport 0\npidfile %s/chrony.pid\n" % t)
    lab.start("srv", ["chronyd", "-d", "-x", "-u", "root", "-f", t + "/chrony.conf"])
    for key in ("host", "user"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "%s/%s" % (t, key))
    shutil.copy(t + "/user.pub", t + "/authorized")
    os.makedirs("/run/sshd", exist_ok=True)
    write(t + "/sshd.conf", "Port 22\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nStrictModes no\nUsePAM no\n"
          "PermitRootLogin prohibit-password\nPasswordAuthentication no\nPidFile none\nUseDNS no\n" % (t, t))
    lab.start("srv", [shutil.which("sshd"), "-D", "-e", "-f", t + "/sshd.conf"])
    for port in range(5201, 5205):
        lab.start("srv", ["iperf3", "-s", "-p", str(port)])
    time.sleep(1.5)


# --- clients: each a loop until the deadline -------------------------------------------------------------------

class Client:
    def __init__(self, lab, k, cls, ipv6, deadline, seed):
        self.lab, self.cls, self.deadline, self.ipv6 = lab, cls, deadline, ipv6
        self.v4, self.v6 = "10.77.%d.1" % k, "fd77:%d::1" % k
        self.r, self.n = random.Random(seed), 0

    def address(self):
        return self.v6 if self.ipv6 and self.r.random() < 0.7 else self.v4

    def url(self, path):
        a = self.address()
        return "http://%s:8080/%s" % ("[%s]" % a if ":" in a else a, path)

    def do(self, argv, seconds=10):
        self.lab.command(self.cls, argv, min(seconds, max(0.5, self.deadline - time.time())))

    def pause(self, mean):
        time.sleep(min(self.r.expovariate(1 / mean), max(0, self.deadline - time.time())))

    def step(self):
        getattr(self, self.cls.replace("-", "_"))()
        self.n += 1

    def web(self):
        pages = [self.url("page%d" % self.r.randrange(40)) for _ in range(self.r.choice((1, 1, 1, 2, 3)))]
        self.do(["curl", "-s", "-o", "/dev/null", "-A", "x" * self.r.randrange(10, 300)] + pages)
        self.pause(0.2)

    def stream(self):
        self.do(["curl", "-s", "-o", "/dev/null", "--limit-rate", "%dk" % self.r.choice((40, 80, 120)),
                 self.url("segment")])
        self.pause(0.15)

    def bulk_tcp(self):
        if self.r.random() < 0.5:
            self.do(["curl", "-s", "-o", "/dev/null", self.url("file")])
        else:
            self.iperf(["-n", "%dK" % self.r.randrange(50, 300)])
        self.pause(0.3)

    def bulk_udp(self):
        self.iperf(["-u", "-b", "%dK" % self.r.choice((150, 300, 600)), "-l", str(self.r.randrange(200, 1400)), "-t",
                    "1", "-R" if self.r.random() < 0.4 else "-4"])
        self.pause(0.1)

    def iperf(self, more):
        self.do(["iperf3", "-c", self.address(), "-p", str(5201 + self.r.randrange(2) + 2 * (self.cls == "bulk-udp"))] +
                more, 6)

    def dns(self):
        names = ["h%d.test" % self.r.randrange(1000), "long.test", "nowhere.example", "www.h%d.test" % self.r.randrange(99)]
        self.do(["dig", "+tries=1", "+time=1", "@" + self.address(), self.r.choice(names),
                 self.r.choice(("A", "AAAA", "TXT"))] + (["+tcp"] if self.r.random() < 0.1 else []), 3)
        self.pause(0.1)

    def ntp(self):
        self.do(["chronyd", "-Q", "-u", "root", "-t", "4", "-f", "/dev/null", "port 0", "cmdport 0", "pidfile %s/ntp%d.%d"
                 % (self.lab.tmp, threading.get_ident() % 100000, self.n), "server %s iburst" % self.v4], 5)

    def mqtt(self, size, count, pause):
        argv = ["mosquitto_pub", "-h", self.address(), "-t", "%s/%d" % (self.cls, self.r.randrange(30)), "-m",
                "v" * size, "-q", str(self.r.randrange(3))]
        if count > 1:
            argv += ["--repeat", str(count), "--repeat-delay", "0.0%d" % self.r.randrange(1, 9)]
        self.do(argv)
        self.pause(pause)

    def mqtt_sensor(self):
        self.mqtt(self.r.randrange(5, 60), self.r.choice((1, 1, 2, 5)), 0.15)

    def mqtt_camera(self):
        self.mqtt(self.r.randrange(3000, 20000), self.r.choice((1, 2, 4)), 0.25)

    def ssh(self, command, stdin=None):
        t = self.lab.tmp
        self.do(["ssh", "-q", "-i", t + "/user", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                 "-o", "BatchMode=yes", "root@" + self.address(), command])

    def ssh_shell(self):
        self.ssh("for i in $(seq %d); do date; sleep 0.0%d; done" % (self.r.randrange(2, 12), self.r.randrange(1, 9)))
        self.pause(0.3)

    def ssh_copy(self):
        self.ssh("head -c %d /dev/urandom" % self.r.randrange(20000, 200000))
        self.pause(0.3)

    def scan(self):
        """A connect scan of at most 25 ports at a time, 12 times."""
        if self.n >= 12:
            time.sleep(max(0, self.deadline - time.time()))
            return
        self.do([PYTHON, __file__, "--scan", self.v4, str(self.r.randrange(1 << 30))], 8)
        self.pause(0.5)

    def flood(self):
        """SYNs from random ports: at most 40 at a time, 10 times."""
        if self.n >= 10:
            time.sleep(max(0, self.deadline - time.time()))
            return
        self.do([PYTHON, __file__, "--flood", self.v4, str(self.r.randrange(1 << 30))], 8)
        self.pause(0.7)

    def loop(self):
        while time.time() < self.deadline:
            self.step()


WORKERS = {"ntp": 3, "dns": 2, "bulk-udp": 2, "ssh-shell": 2, "ssh-copy": 2, "stream": 2}


def scan(target, seed):
    r = random.Random(seed)
    for port in r.sample([22, 53, 80, 123, 443, 1883, 5201, 8080] + list(range(1000, 9000, 37)), 25):
        s = socket.socket()
        s.settimeout(0.2)
        s.connect_ex((target, port))
        s.close()


def checksum(b):
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def flood(target, seed):
    r = random.Random(seed)
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect((target, 9))
    me = socket.inet_aton(probe.getsockname()[0])
    for _ in range(40):
        head = struct.pack("!HHIIBBHHH", r.randrange(1024, 65536), r.choice((22, 1883, 8080)), r.randrange(1 << 32), 0,
                           0x50, 0x02, r.choice((512, 1024, 64240)), 0, 0)
        pseudo = me + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(head))
        s.sendto(head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:], (target, 0))
        time.sleep(r.uniform(0.002, 0.03))


# --- captures ----------------------------------------------------------------------------------------------------

def read_pcap(path, tag):
    with open(path, "rb") as f:
        data = f.read()
    at, out = 24, []
    while at + 16 <= len(data):
        sec, ns, cap, wire = struct.unpack_from("<IIII", data, at)
        if at + 16 + cap > len(data):
            break
        frame = data[at + 16:at + 16 + cap]
        if tag and cap >= 12:
            frame, wire = frame[:12] + b"\x81\x00\x00\x0a" + frame[12:], wire + 4
        out.append((sec * 1000000000 + ns, wire, frame))
        at += 16 + cap
    return out


def write_merged(paths, out):
    packets = sorted((p for path, tag in paths for p in read_pcap(path, tag)), key=lambda p: p[0])
    first = packets[0][0] if packets else 0
    base = 1700000000 * 1000000000  # the hour of the recording is nobody's business
    with open(out + ".tmp", "wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as f:
        f.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, SNAP + 4, 1))
        for ts, wire, data in packets:
            t = base + ts - first
            f.write(struct.pack("<IIII", t // 1000000000, t % 1000000000, len(data), wire) + data)
    os.rename(out + ".tmp", out)
    return len(packets)


def one_run(lab, out, seconds, seed):
    lab.make()
    start_servers(lab)
    dumps, paths = [], []
    for k, (cls, _, _) in enumerate(CLIENTS, 1):
        paths.append("%s/%s.pcap" % (lab.tmp, cls))
        dumps.append(lab.start("srv", ["tcpdump", "-q", "-n", "-Z", "root", "-i", "c%d" % k, "-s", str(SNAP), "-w", paths[-1], "-U",
                                       "--time-stamp-precision=nano"]))
    time.sleep(1)
    deadline, threads = time.time() + seconds, []
    for k, (cls, ipv6, _) in enumerate(CLIENTS, 1):
        for w in range(WORKERS.get(cls, 1)):
            c = Client(lab, k, cls, ipv6, deadline, "%d/%s/%d" % (seed, cls, w))
            threads.append(threading.Thread(target=c.loop, daemon=True))
    for t in threads:
        t.start()
    for t in threads:
        t.join(max(0.1, deadline + 15 - time.time()))
    time.sleep(0.5)
    for p in dumps:
        p.send_signal(signal.SIGINT)
        p.wait()
    n = write_merged([(p, c[2] and not lab.vlan_devices) for p, c in zip(paths, CLIENTS)], out)
    lab.remove()
    return n


def main():
    if len(sys.argv) == 4 and sys.argv[1] in ("--scan", "--flood"):
        (scan if sys.argv[1] == "--scan" else flood)(sys.argv[2], sys.argv[3])
        return
    a = argparse.ArgumentParser()
    a.add_argument("out")
    a.add_argument("--name", default="dunerec")
    a.add_argument("--seconds", type=float, default=40)
    a.add_argument("--train", type=int, default=4)
    a.add_argument("--test", type=int, default=2)
    a.add_argument("--seed", type=int, default=1)
    a = a.parse_args()
    missing = [p for p in NEEDED if not shutil.which(p)]
    if missing:
        sys.exit("missing programs: %s" % " ".join(missing))
    tmp = tempfile.mkdtemp(prefix="dune-record-", dir=os.path.dirname(os.path.abspath(__file__)))
    os.chmod(tmp, 0o755)
    lab = Lab(a.name, tmp)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    try:
        for part, count in (("train", a.train), ("test", a.test)):
            os.makedirs("%s/%s" % (a.out, part), exist_ok=True)
            for i in range(count):
                for f in os.listdir(tmp):
                    if os.path.isfile(tmp + "/" + f):
                        os.unlink(tmp + "/" + f)
                path = "%s/%s/run-%s%d.pcap.gz" % (a.out, part, part[:2], i + 1)
                n = one_run(lab, path, a.seconds, a.seed * 100 + (50 if part == "test" else 0) + i)
                print("%s: %d packets" % (path, n), flush=True)
        with open(a.out + "/labels.csv", "w") as f:
            f.write("prefix,label\n")
            for k, (cls, _, _) in enumerate(CLIENTS, 1):
                f.write("10.77.%d.2/32,%s\nfd77:%d::2/128,%s\n" % (k, cls, k, cls))
    except KeyboardInterrupt:
        sys.exit(130)
    except RuntimeError as e:
        sys.exit(str(e))
    finally:
        lab.remove()
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
