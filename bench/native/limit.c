/* The limit: what one core of this machine can fan out in C, with one send for each event and watcher.
 *
 *   limit PORT
 *
 * GET /t<n> watches topic n over SSE, POST /t<n> sends its body to all who watch. One thread, one epoll, nothing is
 * checked. What a watcher's socket does not take is kept for it, without bound. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TOPICS = 1024, REQUEST_BYTES = 16384 };

struct connection {
    int fd, topic, place; /* topic -1: it watches nothing */
    char *request, *owed;
    size_t asked, owing, room;
};
struct topic { struct connection **watchers; int count, room; };

static struct topic topics[TOPICS];
static int epoll;

static void want(struct connection *c, int how, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(epoll, how, c->fd, &event);
}

static void leave(struct connection *c) {
    if (c->topic >= 0) {
        struct topic *topic = &topics[c->topic];
        topic->watchers[c->place] = topic->watchers[--topic->count];
        topic->watchers[c->place]->place = c->place;
    }
    close(c->fd);
    free(c->request);
    free(c->owed);
    free(c);
}

static void deliver(struct connection *c, const char *data, size_t size) {
    ssize_t n = c->owing ? 0 : send(c->fd, data, size, MSG_NOSIGNAL);
    if (n < 0) n = 0;
    if ((size_t)n == size) return;
    if (c->owing + size - n > c->room) c->owed = realloc(c->owed, c->room = 2 * (c->owing + size - n));
    if (!c->owing) want(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    memcpy(c->owed + c->owing, data + n, size - n);
    c->owing += size - n;
}

static void pay(struct connection *c) {
    ssize_t n = send(c->fd, c->owed, c->owing, MSG_NOSIGNAL);
    if (n <= 0) return;
    memmove(c->owed, c->owed + n, c->owing -= n);
    if (!c->owing) want(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void join(struct connection *c, int number) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: welcome\n\n";
    struct topic *topic = &topics[number];
    if (topic->count == topic->room)
        topic->watchers = realloc(topic->watchers, (topic->room = 2 * topic->room + 16) * sizeof *topic->watchers);
    c->topic = number;
    c->place = topic->count;
    topic->watchers[topic->count++] = c;
    deliver(c, head, sizeof head - 1);
}

static void tell_all(int number, const char *body, int size) {
    char event[REQUEST_BYTES + 16];
    int whole = sprintf(event, "data: %.*s\n\n", size, body);
    for (int i = 0; i < topics[number].count; i++) deliver(topics[number].watchers[i], event, whole);
}

static void answer(struct connection *c) {
    for (char *end; c->topic < 0 && (end = memmem(c->request, c->asked, "\r\n\r\n", 4));) {
        char *target = strchr(c->request, '/'), *length;
        int number = target ? atoi(target + 2) % TOPICS : 0;
        *end = 0;
        size_t head = end + 4 - c->request, body = (length = strcasestr(c->request, "content-length:")) ? atol(length + 15) : 0;
        *end = '\r';
        if (c->asked < head + body) return;
        if (c->request[0] == 'G') join(c, number);
        else {
            tell_all(number, c->request + head, body);
            deliver(c, "HTTP/1.1 204 No Content\r\n\r\n", 27);
        }
        memmove(c->request, c->request + head + body, c->asked -= head + body);
        c->request[c->asked] = 0;
    }
}

static void receive(struct connection *c) {
    if (!c->request) c->request = calloc(1, REQUEST_BYTES);
    ssize_t n = read(c->fd, c->request + c->asked, REQUEST_BYTES - 1 - c->asked);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        leave(c);
        return;
    }
    c->request[c->asked += n] = 0;
    answer(c);
    if (c->topic >= 0) free(c->request), c->request = NULL, c->asked = 0;
}

static void welcome(int listening) {
    int one = 1, fd;
    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->topic = -1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        want(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

int main(int count, char **words) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(words[1]) : 8000)};
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int one = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listening, (void *)&address, sizeof address) || listen(listening, 4096)) return perror("listen"), 1;
    epoll = epoll_create1(0);
    struct epoll_event events[512], listens = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &listens);
    for (;;) {
        int n = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) welcome(listening);
            else if (events[i].events & EPOLLOUT) pay(c);
            else receive(c);
        }
    }
}
