/* dgramloop N SIZE: moves N datagrams of SIZE bytes from one process to another through a unix
   socket with bare send and recv: the rate of the kernel itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int failed(const char *call)
{
    perror(call);
    return 1;
}

int main(int argc, char **argv)
{
    char text[8192];
    if (argc != 3 || atoi(argv[2]) > (int)sizeof text) {
        fputs("usage: dgramloop N SIZE\n", stderr);
        return 2;
    }
    int count = atoi(argv[1]);
    size_t size = atoi(argv[2]);
    memset(text, 'x', size);

    /* Without a name it gets an abstract one of its own: unix(7), autobind. */
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    socklen_t length = sizeof name.sun_family;
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (receiver < 0 || bind(receiver, (struct sockaddr *)&name, length) < 0)
        return failed("bind");
    length = sizeof name;
    if (getsockname(receiver, (struct sockaddr *)&name, &length) < 0)
        return failed("getsockname");
    pid_t child = fork();
    if (child < 0)
        return failed("fork");
    if (child == 0) {
        int sender = socket(AF_UNIX, SOCK_DGRAM, 0);
        if (sender < 0 || connect(sender, (struct sockaddr *)&name, length) < 0)
            _exit(failed("connect"));
        for (int i = 0; i < count; i++)
            if (send(sender, text, size, 0) < 0)
                _exit(failed("send"));
        _exit(0);
    }
    for (int i = 0; i < count; i++)
        if (recv(receiver, text, sizeof text, 0) < 0)
            return failed("recv");
    int status;
    return wait(&status) < 0 || status != 0;
}
