# SPDX-License-Identifier: Apache-2.0
"""span_server.py [--uvloop] FRAMEWORK TRACER SINK_PORT [PACKAGES]: a web server with tracing switched on, as people run them.

FRAMEWORK: aiohttp, fastapi (on uvicorn), tornado, flask (on gunicorn, eight threads of one worker), gevent (Flask on gunicorn's gevent worker)
or pywsgi (Flask on gevent's own server). On a free port of 127.0.0.1; prints "ready", "PORT N" and "TRACER VERSION". What it does is in
span_truth.py and, of greenlets, span_greenlets.py. PACKAGES: folders that have what the interpreter does not.
"""
import argparse
import asyncio
import contextlib
import socket
import sys

parser = argparse.ArgumentParser()
parser.add_argument("framework", choices=("aiohttp", "fastapi", "tornado", "flask", "gevent", "pywsgi"))
parser.add_argument("tracer")
parser.add_argument("sink")
parser.add_argument("--uvloop", action="store_true")
parser.add_argument("packages", nargs="*")
options = parser.parse_args()
sys.path[:0] = options.packages
GREENLETS = options.framework in ("gevent", "pywsgi")
if GREENLETS and options.tracer != "ddtrace":
    import gevent.monkey
    gevent.monkey.patch_all()
import span_truth

# before any framework: integrations patch at import, and ddtrace's before anything is made of greenlets
tracer = span_truth.start(options.tracer, options.sink)
if GREENLETS:
    import gevent.monkey
    gevent.monkey.patch_all()
    import span_greenlets
    span_truth.SYNC.update(span_greenlets.HANDLERS)


def say_ready(port):
    print("ready\nPORT %d\nTRACER %s" % (port, tracer.version), flush=True)


def listening():
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(128)
    return bound


async def handle(endpoint):
    await span_truth.ASYNC[endpoint](span_truth.request(endpoint))
    return "done\n"


def run_aiohttp():
    from aiohttp import web

    @web.middleware
    async def traced(request, handler):
        with tracer.server(request.headers, request.path):
            return await handler(request)

    async def answer(request):
        return web.Response(text=await handle(request.match_info["endpoint"]))

    app = web.Application(middlewares=[traced] if options.tracer == "opentelemetry" else [])
    for endpoint in span_truth.ASYNC:
        app.router.add_get("/{endpoint:%s}/{number}" % endpoint, answer)
    if options.tracer == "ddtrace":
        from ddtrace.contrib.aiohttp import trace_app
        trace_app(app, None if tracer.version >= "4" else tracer.tracer, service="shop")

    async def main():
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        bound = listening()
        await web.SockSite(runner, bound).start()
        say_ready(bound.getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(main())


def run_fastapi():
    import fastapi
    import uvicorn

    @contextlib.asynccontextmanager
    async def lifespan(_):
        say_ready(bound.getsockname()[1])
        yield

    app = fastapi.FastAPI(lifespan=lifespan)
    if options.tracer == "opentelemetry":
        @app.middleware("http")
        async def traced(request, call_next):
            with tracer.server(request.headers, request.url.path):
                return await call_next(request)

    def route(endpoint):
        @app.get("/%s/{number}" % endpoint)
        async def answer(number: int):  # pylint: disable=unused-argument
            return await handle(endpoint)

    for endpoint in span_truth.ASYNC:
        route(endpoint)
    bound = listening()
    config = uvicorn.Config(app, loop="uvloop" if options.uvloop else "asyncio", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[bound])


def run_tornado():
    if options.tracer == "ddtrace":
        import ddtrace
        ddtrace.patch(tornado=True)  # the one integration here that is off unless asked for
    import tornado.httpserver
    import tornado.web

    class Handler(tornado.web.RequestHandler):
        async def get(self, endpoint, _):
            if options.tracer == "opentelemetry":
                with tracer.server(self.request.headers, self.request.path):
                    return self.write(await handle(endpoint))
            return self.write(await handle(endpoint))

    async def main():
        server = tornado.httpserver.HTTPServer(tornado.web.Application([(r"/(\w+)/(\d+)", Handler)]))
        bound = listening()
        bound.setblocking(False)
        server.add_socket(bound)
        say_ready(bound.getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(main())


def flask_app():
    import flask
    app = flask.Flask("shop")

    def route(endpoint):
        def answer(number):  # pylint: disable=unused-argument
            work = span_truth.SYNC[endpoint]
            if options.tracer == "opentelemetry":
                with tracer.server(flask.request.headers, flask.request.path):
                    work(span_truth.request(endpoint))
            else:
                work(span_truth.request(endpoint))
            return "done\n"
        app.add_url_rule("/%s/<int:number>" % endpoint, endpoint, answer)

    for endpoint in span_truth.SYNC:
        route(endpoint)
    return app


def run_gunicorn(**settings):
    import gunicorn.app.base
    app, bound = flask_app(), listening()
    port = bound.getsockname()[1]

    class Server(gunicorn.app.base.BaseApplication):
        def load_config(self):
            self.cfg.set("bind", "fd://%d" % bound.fileno())
            for name, value in settings.items():
                self.cfg.set(name, value)
            self.cfg.set("loglevel", "warning")
            self.cfg.set("when_ready", lambda _: None)
            self.cfg.set("post_worker_init", lambda _: say_ready(port))

        def load(self):
            return app

    sys.argv[1:] = []
    Server().run()


def run_flask():
    run_gunicorn(worker_class="gthread", threads=8)


def run_gevent():
    run_gunicorn(worker_class="gevent")


def run_pywsgi():
    import gevent.pywsgi
    bound = listening()
    say_ready(bound.getsockname()[1])
    gevent.pywsgi.WSGIServer(bound, flask_app(), log=None).serve_forever()


globals()["run_" + options.framework]()
