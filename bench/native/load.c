/* A load client: many watchers over SSE or WebSocket, a few publishers over HTTP, one thread and one epoll.
 *
 * It measures from the outside only: an event carries "ts=<CLOCK_MONOTONIC ns>" wherever its server lets a text
 * through, and a delivery is a data line (SSE) or a text frame (WebSocket) that shows it again. Where a server lets
 * none through, --mark names what a delivery shows, and its time counts from the latest publish.
 *
 *   load --port P --topics FILE [--watchers N] [--ws] [--events E] [--rate PER_S] [--in-flight X] [--body TEMPLATE]
 *        [--hold S] [--dead N] [--server PID] [--quiet S] [--connect-only] [--mark TEXT] [--go FILE]
 *
 * FILE has a line for each topic: the path to watch, a blank, and the path to POST to (or "-"). Watcher i sees topic
 * i modulo their number. In TEMPLATE @t becomes the time and @n the number of the event. Without --events nothing is
 * published: deliveries are counted from the first until they cease, --hold S seconds after the start at the
 * earliest; --go makes that file when all are connected. The first
 * --dead watchers never read again once they are connected. With --watchers 0 it only publishes. One line of JSON comes out; times in microseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 18, CARRY_BYTES = 1 << 16, MOST_TOPICS = 20000, HANDSHAKES = 100, BUCKETS = 4096 };
enum stage { WAITS_FOR_HEADERS, LIVE, GONE };

struct connection {
    int fd, topic;
    enum stage stage;
    int publishes, busy;
    char *carry;
    int carried, room;
    uint64_t last;
};
struct topic { char *watch, *publish; int watchers; };

static struct {
    int port, watchers, ws, in_flight, dead, connect_only, server;
    long events;
    double rate, hold_s, quiet_s;
    const char *topics, *body, *mark, *go;
} given = {.mark = "ts=", .watchers = 1, .in_flight = 1, .quiet_s = 3, .body = "{\"message\":\"ts=@t\"}"};

static struct topic topics[MOST_TOPICS];
static int topic_count, epoll, ready, lost_connections;
static struct connection *watchers, *publishers;
static uint64_t now_ns, delivered, expected, disordered, refused, first_delivery_ns, last_delivery_ns, received_bytes, slowest_ns;
static uint64_t histogram[BUCKETS];
static char buffer[CARRY_BYTES + READ_BYTES];
static uint64_t published_ns;
static size_t mark_size;
static uint64_t last_answer_ns;
static long sent, answered;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Sixteen buckets for each power of two: at most 6 % wide. */
static int bucket_of(uint64_t ns) {
    if (ns < 16) return ns;
    int power = 63 - __builtin_clzll(ns);
    return (power - 3) * 16 + (ns >> (power - 4) & 15);
}

static double bucket_us(int bucket) {
    if (bucket < 16) return bucket / 1e3;
    int power = bucket / 16 + 3;
    return (double)((16ull + bucket % 16) << (power - 4)) / 1e3;
}

static double quantile_us(double q) {
    uint64_t goal = delivered * q, seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += histogram[i]) > goal) return bucket_us(i);
    return slowest_ns / 1e3;
}

struct usage { double cpu_s; long resident_kb; };

static struct usage usage_of(int pid) {
    struct usage usage = {0};
    char name[64], line[2048];
    unsigned long user, system;
    if (!pid) return usage;
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    FILE *file = fopen(name, "r");
    if (!file) fail("there is no process %d", pid);
    char *rest = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    if (rest && sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2)
        usage.cpu_s = (user + system) / (double)sysconf(_SC_CLK_TCK);
    snprintf(name, sizeof name, "/proc/%d/status", pid);
    if (!(file = fopen(name, "r"))) return usage;
    while (fgets(line, sizeof line, file)) sscanf(line, "VmRSS: %ld", &usage.resident_kb);
    fclose(file);
    return usage;
}

static void send_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n > 0) data += n, size -= n;
        else if (errno == EAGAIN) usleep(100);
        else fail("send: %s", strerror(errno));
    }
}

static int connected(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(given.port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (void *)&address, sizeof address)) fail("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void listen_to(struct connection *c) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

static void watch(struct connection *c, int topic) {
    static const char upgrade[] = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    char request[4096];
    c->fd = connected();
    c->topic = topic;
    listen_to(c);
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n",
                        topics[topic].watch, given.port, given.ws ? upgrade : "Accept: text/event-stream\r\n");
    send_all(c->fd, request, size);
}

static void take(struct connection *c, const char *text, size_t size) {
    const char *at = memmem(text, size, given.mark, mark_size);
    if (!at) return;
    uint64_t then_ns = 0;
    for (at += mark_size; at < text + size && (unsigned)(*at - '0') < 10; at++) then_ns = then_ns * 10 + (*at - '0');
    if (!then_ns) then_ns = published_ns;
    uint64_t took_ns = now_ns > then_ns ? now_ns - then_ns : 0;
    disordered += then_ns < c->last;
    c->last = then_ns;
    delivered++;
    last_delivery_ns = now_ns;
    if (!first_delivery_ns) first_delivery_ns = now_ns;
    histogram[bucket_of(took_ns)]++;
    if (took_ns > slowest_ns) slowest_ns = took_ns;
}

/* Each returns how much of the data it has used. */
static size_t read_lines(struct connection *c, char *data, size_t size) {
    size_t used = 0;
    char *end;
    while (used < size && (end = memchr(data + used, '\n', size - used))) {
        if (!memcmp(data + used, "data:", 5)) take(c, data + used, end - data - used);
        used = end - data + 1;
    }
    return used;
}

static size_t read_frames(struct connection *c, char *data, size_t size) {
    size_t used = 0;
    while (size - used >= 2) {
        unsigned char *head = (unsigned char *)data + used;
        size_t length = head[1] & 127, from = 2;
        if (length == 126) from = 4, length = size - used < 4 ? size : (size_t)(head[2] << 8 | head[3]);
        if (length == 127) fail("a frame is too long");
        if (size - used < from + length) break;
        if ((head[0] & 15) == 1) {
            take(c, data + used + from, length);
            if (length == 1 && data[used + from] == '2') send_all(c->fd, "\x81\x81\0\0\0\0" "3", 7); /* Engine.IO's ping */
        } else if ((head[0] & 15) == 9) {
            send_all(c->fd, "\x8a\x80\0\0\0", 6);
        }
        used += from + length;
    }
    return used;
}

static size_t read_replies(struct connection *c, char *data, size_t size) {
    size_t used = 0;
    char *end;
    while (used < size && (end = memmem(data + used, size - used, "\r\n\r\n", 4))) {
        *end = 0;
        char *length = strcasestr(data + used, "content-length:");
        size_t whole = end + 4 - data - used + (length ? atol(length + 15) : 0);
        if (size - used < whole) {
            *end = '\r';
            break;
        }
        if (data[used + 9] != '2' && !refused++) fprintf(stderr, "refused: %.100s\n", data + used);
        used += whole;
        c->busy--;
        answered++;
        last_answer_ns = now_ns;
    }
    return used;
}

static size_t read_head(struct connection *c, char *data, size_t size) {
    char *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end) return 0;
    if (memcmp(data + 9, given.ws ? "101" : "200", 3)) fail("refused: %.200s", data);
    if (given.ws && strstr(topics[c->topic].watch, "/socket.io/")) { /* join the namespace */
        send_all(c->fd, "\x81\x82\0\0\0\0" "40", 8);
    }
    c->stage = LIVE;
    ready++;
    return end + 4 - data;
}

static void keep(struct connection *c, const char *data, int size) {
    if (size > CARRY_BYTES) fail("a message is too long");
    if (size > c->room && !(c->carry = realloc(c->carry, c->room = size + 256))) fail("no memory");
    memcpy(c->carry, data, size);
    c->carried = size;
}

static void receive(struct connection *c) {
    memcpy(buffer, c->carry, c->carried);
    ssize_t n = read(c->fd, buffer + c->carried, READ_BYTES);
    now_ns = clock_ns();
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        close(c->fd);
        c->stage = GONE;
        lost_connections++;
        return;
    }
    received_bytes += n;
    size_t size = c->carried + n, used = 0;
    if (c->publishes) used = read_replies(c, buffer, size);
    else if (c->stage == WAITS_FOR_HEADERS) used = read_head(c, buffer, size);
    if (!c->publishes && c->stage == LIVE)
        used += (given.ws ? read_frames : read_lines)(c, buffer + used, size - used);
    keep(c, buffer + used, size - used);
}

static void look(uint64_t wait_ns) {
    static struct epoll_event events[512];
    struct timespec wait = {wait_ns / 1000000000, wait_ns % 1000000000};
    int n = epoll_pwait2(epoll, events, 512, &wait, NULL);
    for (int i = 0; i < n; i++) receive(events[i].data.ptr);
}

static int filled(char *into, size_t room, long number) {
    size_t size = 0;
    for (const char *from = given.body; *from && size + 24 < room; from++) {
        if (from[0] == '@' && from[1] == 't') size += sprintf(into + size, "%lu", clock_ns()), from++;
        else if (from[0] == '@' && from[1] == 'n') size += sprintf(into + size, "%ld", number), from++;
        else into[size++] = *from;
    }
    return size;
}

static void publish(struct connection *c, long number) {
    char body[8192], request[12288];
    struct topic *topic = &topics[number % topic_count];
    int size = filled(body, sizeof body, number);
    int whole = snprintf(request, sizeof request,
                         "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                         "Content-Length: %d\r\n\r\n%.*s", topic->publish, given.port, size, size, body);
    c->busy++;
    published_ns = clock_ns();
    expected += topic->watchers;
    send_all(c->fd, request, whole);
}

static void read_topics(void) {
    static char watch_path[2048], publish_path[2048];
    FILE *file = fopen(given.topics, "r");
    if (!file) fail("%s: %s", given.topics, strerror(errno));
    while (topic_count < MOST_TOPICS && fscanf(file, "%2047s %2047s", watch_path, publish_path) == 2)
        topics[topic_count++] = (struct topic){strdup(watch_path), strdup(publish_path), 0};
    fclose(file);
    if (!topic_count) fail("no topics");
}

static void read_options(int count, char **words) {
    enum { PORT, TOPICS, WATCHERS, WS, EVENTS, RATE, IN_FLIGHT, BODY, HOLD, DEAD, SERVER, QUIET, CONNECT_ONLY, MARK, GO };
    static const struct option known[] = {
        {"port", 1, 0, PORT}, {"topics", 1, 0, TOPICS}, {"watchers", 1, 0, WATCHERS}, {"ws", 0, 0, WS},
        {"events", 1, 0, EVENTS}, {"rate", 1, 0, RATE}, {"in-flight", 1, 0, IN_FLIGHT}, {"body", 1, 0, BODY},
        {"hold", 1, 0, HOLD}, {"dead", 1, 0, DEAD}, {"server", 1, 0, SERVER}, {"quiet", 1, 0, QUIET},
        {"connect-only", 0, 0, CONNECT_ONLY}, {"mark", 1, 0, MARK}, {"go", 1, 0, GO}, {0}};
    for (int option; (option = getopt_long(count, words, "", known, NULL)) >= 0;) switch (option) {
        case PORT: given.port = atoi(optarg); break;
        case TOPICS: given.topics = optarg; break;
        case WATCHERS: given.watchers = atoi(optarg); break;
        case WS: given.ws = 1; break;
        case EVENTS: given.events = atol(optarg); break;
        case RATE: given.rate = atof(optarg); break;
        case IN_FLIGHT: given.in_flight = atoi(optarg); break;
        case BODY: given.body = optarg; break;
        case HOLD: given.hold_s = atof(optarg); break;
        case DEAD: given.dead = atoi(optarg); break;
        case SERVER: given.server = atoi(optarg); break;
        case QUIET: given.quiet_s = atof(optarg); break;
        case GO: given.go = optarg; break;
        case MARK: given.mark = optarg; break;
        case CONNECT_ONLY: given.connect_only = 1; break;
        default: fail("see the head of load.c");
    }
    if (!given.port || !given.topics) fail("see the head of load.c");
    mark_size = strlen(given.mark);
}

static void connect_all(void) {
    uint64_t until_ns = clock_ns() + 60000000000ull;
    for (int i = 0; ready < given.watchers;) {
        for (; i < given.watchers && i - ready < HANDSHAKES; i++) {
            watch(&watchers[i], i % topic_count);
            topics[i % topic_count].watchers += i >= given.dead;
        }
        look(50000000);
        if (lost_connections || clock_ns() > until_ns)
            fail("only %d of %d were connected, %d were dropped", ready, given.watchers, lost_connections);
    }
    for (int i = 0; given.events && i < given.in_flight; i++) {
        publishers[i] = (struct connection){.fd = connected(), .publishes = 1, .stage = LIVE};
        listen_to(&publishers[i]);
    }
}

static void settle(uint64_t for_ns) {
    for (uint64_t until_ns = clock_ns() + for_ns; clock_ns() < until_ns;) look(10000000);
}

/* Publishes what is due and room for; returns how long nothing is. */
static uint64_t publish_due(uint64_t start_ns) {
    for (int i = 0; i < given.in_flight && sent < given.events; i++) {
        uint64_t due_ns = start_ns + (given.rate > 0 ? (uint64_t)(sent / given.rate * 1e9) : 0), now = clock_ns();
        if (due_ns > now) return due_ns - now;
        if (!publishers[i].busy) publish(&publishers[i], sent++);
    }
    return 100000000;
}

static int is_over(uint64_t start_ns) {
    uint64_t now = clock_ns(), active_ns = last_delivery_ns > published_ns ? last_delivery_ns : published_ns;
    if (given.events && answered >= given.events && delivered >= expected) return 1;
    if (now - start_ns < given.hold_s * 1e9) return 0;
    return now > active_ns && now - active_ns > given.quiet_s * 1e9;
}

int main(int count, char **words) {
    read_options(count, words);
    read_topics();
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watchers = calloc(given.watchers, sizeof *watchers);
    publishers = calloc(given.in_flight, sizeof *publishers);
    struct usage before = usage_of(given.server);
    uint64_t connecting_ns = clock_ns();
    connect_all();
    double connect_s = (clock_ns() - connecting_ns) / 1e9;
    settle(500000000);
    for (int i = 0; i < given.dead; i++) epoll_ctl(epoll, EPOLL_CTL_DEL, watchers[i].fd, NULL);
    struct usage idle = usage_of(given.server);
    delivered = disordered = slowest_ns = received_bytes = first_delivery_ns = 0;
    memset(histogram, 0, sizeof histogram);
    if (given.go && !(given.go[0] && fopen(given.go, "w"))) fail("%s: %s", given.go, strerror(errno));
    uint64_t start_ns = clock_ns();
    last_delivery_ns = published_ns = start_ns;
    while (!given.connect_only && !is_over(start_ns)) look(publish_due(start_ns));
    struct usage after = usage_of(given.server);
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    double answering_s = answered ? (last_answer_ns - start_ns) / 1e9 : 0;
    if (!given.events && first_delivery_ns) start_ns = first_delivery_ns;
    double took_s = (last_delivery_ns - start_ns) / 1e9;
    printf("{\"watchers\":%d,\"events\":%ld,\"expected\":%lu,\"delivered\":%lu,\"disordered\":%lu,\"refused\":%lu,"
           "\"dropped\":%d,\"took_s\":%.4f,\"per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,"
           "\"cpu_s\":%.2f,\"cpu_us_each\":%.3f,\"client_cpu_s\":%.2f,\"bytes_each\":%.0f,\"connect_s\":%.3f,"
           "\"before_kb\":%ld,\"idle_kb\":%ld,\"after_kb\":%ld,\"kb_each\":%.2f,"
           "\"answers_per_s\":%.1f}\n",
           given.watchers, sent, expected, delivered, disordered, refused, lost_connections, took_s,
           took_s > 0 ? delivered / took_s : 0, quantile_us(.5), quantile_us(.99), slowest_ns / 1e3,
           after.cpu_s - idle.cpu_s, delivered ? (after.cpu_s - idle.cpu_s) * 1e6 / delivered : 0,
           own.ru_utime.tv_sec + own.ru_stime.tv_sec + (own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6,
           delivered ? (double)received_bytes / delivered : 0, connect_s, before.resident_kb, idle.resident_kb,
           after.resident_kb, given.watchers ? (double)(idle.resident_kb - before.resident_kb) / given.watchers : 0,
           answering_s > 0 ? answered / answering_s : 0);
    return 0;
}
