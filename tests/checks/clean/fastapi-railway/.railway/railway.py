"""Railway project: one service from the repository and its database."""

from railway_sdk import define_railway, github, postgres, preserve, project, service


@define_railway
def main(ctx):
    db = postgres("db")
    api = service(
        "api",
        source=github("acme/orders-api", branch="main"),
        build={"builder": "DOCKERFILE"},
        preDeploy="alembic upgrade head",
        healthcheck="/health",
        healthcheckTimeout=120,
        replicas=2,
        env={
            "DATABASE_URL": db.env.DATABASE_URL,
            "SECRET_KEY": preserve(),
            "CORS_ORIGINS": "https://app.example.com",
        },
        deploy={"drainingSeconds": 30, "overlapSeconds": 15, "restartPolicyType": "ON_FAILURE"},
    )
    return project("orders", resources=[db, api])
