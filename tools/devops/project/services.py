"""Backing services a unit needs: by its drivers, the URLs in its code, its ORM's settings, the compose file."""

from __future__ import annotations

import re

from tools.devops.merge import is_untouched
from tools.devops.project.tree import Folder, text, without_comments, words

# package or module path (any ecosystem) -> service
PACKAGES: dict[str, str] = {
    name: service
    for service, names in {
        "postgres": (
            "psycopg psycopg2 psycopg2-binary asyncpg pg8000 aiopg pg postgres pg-promise @vercel/postgres slonik "
            "@neondatabase/serverless pgvector github.com/lib/pq github.com/jackc/pgx github.com/jackc/pgx/v4 "
            "github.com/jackc/pgx/v5 gorm.io/driver/postgres github.com/uptrace/bun/driver/pgdriver tokio-postgres "
            "sqlx/postgres diesel/postgres sea-orm/sqlx-postgres diesel-async/postgres postgresql r2dbc-postgresql "
            "quarkus-jdbc-postgresql quarkus-reactive-pg-client ext-pdo_pgsql ext-pgsql Npgsql postgrex "
            "Npgsql.EntityFrameworkCore.PostgreSQL psycopg-binary @types/pg will/crystal-pg"
        ),
        "mysql": (
            "mysqlclient pymysql aiomysql asyncmy mysql-connector-python mysql mysql2 mariadb @planetscale/database "
            "github.com/go-sql-driver/mysql gorm.io/driver/mysql sqlx/mysql diesel/mysql sea-orm/sqlx-mysql "
            "mysql-connector-java mysql-connector-j mariadb-java-client quarkus-jdbc-mysql ext-pdo_mysql ext-mysqli "
            "MySql.Data MySqlConnector Pomelo.EntityFrameworkCore.MySql myxql trilogy"
        ),
        "mssql": (
            "pyodbc pymssql mssql tedious mssql-jdbc Microsoft.EntityFrameworkCore.SqlServer Microsoft.Data.SqlClient"
        ),
        "mongodb": (
            "pymongo motor beanie mongoengine djongo mongodb mongoose @nestjs/mongoose mongoid mongo "
            "go.mongodb.org/mongo-driver go.mongodb.org/mongo-driver/v2 spring-boot-starter-data-mongodb "
            "spring-boot-starter-data-mongodb-reactive quarkus-mongodb-client mongodb/mongodb MongoDB.Driver "
            "mongodb/laravel-mongodb ext-mongodb mongodb_driver"
        ),
        "redis": (
            "redis aioredis redis-om django-redis channels-redis arq rq django-rq flask-redis ioredis bull bullmq "
            "@nestjs/bullmq @nestjs/bull connect-redis @upstash/redis @socket.io/redis-adapter sidekiq resque hiredis "
            "github.com/redis/go-redis/v9 github.com/redis/go-redis github.com/go-redis/redis/v8 predis/predis "
            "github.com/go-redis/redis github.com/gomodule/redigo github.com/hibiken/asynq deadpool-redis fred jedis "
            "lettuce-core spring-boot-starter-data-redis spring-boot-starter-data-redis-reactive ext-redis redix "
            "quarkus-redis-client StackExchange.Redis Microsoft.Extensions.Caching.StackExchangeRedis laravel/horizon"
        ),
        "rabbitmq": (
            "pika aio-pika amqp amqplib amqp-connection-manager bunny sneakers github.com/rabbitmq/amqp091-go "
            "github.com/streadway/amqp lapin spring-boot-starter-amqp php-amqplib/php-amqplib RabbitMQ.Client "
            "MassTransit.RabbitMQ broadway_rabbitmq taskiq-aio-pika"
        ),
        "kafka": (
            "kafka-python aiokafka confluent-kafka faust-streaming kafkajs node-rdkafka github.com/segmentio/kafka-go "
            "github.com/confluentinc/confluent-kafka-go github.com/IBM/sarama rdkafka spring-kafka kafka-clients "
            "Confluent.Kafka karafka broadway_kafka"
        ),
        "nats": "nats-py nats github.com/nats-io/nats.go async-nats jnats NATS.Client",
        "elasticsearch": (
            "elasticsearch elasticsearch-dsl django-elasticsearch-dsl @elastic/elasticsearch elasticsearch-rails "
            "github.com/elastic/go-elasticsearch/v8 spring-boot-starter-data-elasticsearch "
            "Elastic.Clients.Elasticsearch"
        ),
        "opensearch": "opensearch-py @opensearch-project/opensearch github.com/opensearch-project/opensearch-go",
        "memcached": "pymemcache pylibmc python-memcached memjs dalli github.com/bradfitz/gomemcache ext-memcached",
        "s3": (
            "@aws-sdk/client-s3 @aws-sdk/lib-storage multer-s3 minio django-storages aws-sdk-s3 aws-sdk-rails s3fs "
            "github.com/aws/aws-sdk-go-v2/service/s3 github.com/minio/minio-go/v7 league/flysystem-aws-s3-v3 "
            "AWSSDK.S3 rust-s3 spring-cloud-aws-starter-s3 ex_aws_s3"
        ),
        "sqs": "@aws-sdk/client-sqs github.com/aws/aws-sdk-go-v2/service/sqs AWSSDK.SQS aws-sdk-sqs",
        "dynamodb": "@aws-sdk/client-dynamodb pynamodb github.com/aws/aws-sdk-go-v2/service/dynamodb AWSSDK.DynamoDBv2",
        "cassandra": "cassandra-driver github.com/gocql/gocql",
        "neo4j": "neo4j neo4j-driver",
        "clickhouse": "clickhouse-connect clickhouse-driver @clickhouse/client github.com/ClickHouse/clickhouse-go/v2",
        "qdrant": "qdrant-client @qdrant/js-client-rest",
        "weaviate": "weaviate-client",
        "meilisearch": "meilisearch",
    }.items()
    for name in names.split()
}

# what stands in code or configuration -> service
_SAYS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (service, re.compile(pattern, re.MULTILINE))
    for service, pattern in (
        (
            "postgres",
            r"\bpostgres(?:ql)?(?:\+\w{1,20})?://|django\.db\.backends\.postgresql|adapter:\s*postgresql|provider\s*=\s*\"(?:postgresql|cockroachdb)\"|DB_CONNECTION=pgsql|jdbc:postgresql|dialect:\s*[\"']postgres|type:\s*[\"']postgres|r2dbc:postgresql|UseNpgsql",
        ),
        (
            "mysql",
            r"\b(?:mysql|mariadb)(?:\+\w{1,20})?://|django\.db\.backends\.mysql|adapter:\s*(?:mysql2|trilogy)|provider\s*=\s*\"mysql\"|^DB_CONNECTION=mysql|jdbc:(?:mysql|mariadb)|dialect:\s*[\"']mysql|type:\s*[\"']mysql|UseMySql",
        ),
        ("mssql", r"\bmssql(?:\+\w{1,20})?://|provider\s*=\s*\"sqlserver\"|jdbc:sqlserver|UseSqlServer"),
        ("mongodb", r"\bmongodb(?:\+srv)?://|provider\s*=\s*\"mongodb\""),
        ("redis", r"\brediss?://|django_redis|^(?:CACHE_STORE|QUEUE_CONNECTION|SESSION_DRIVER)=redis"),
        ("rabbitmq", r"\bamqps?://|\bpyamqp://"),
        ("s3", r"(?:client|resource)\(\s*[\"']s3[\"']|\bs3://|service:\s*S3\b|new AWS\.S3\("),
        ("sqs", r"(?:client|resource)\(\s*[\"']sqs[\"']|\bsqs://"),
        ("dynamodb", r"(?:client|resource)\(\s*[\"']dynamodb[\"']"),
    )
)
_WORDS = re.compile(
    r"://|backends|adapter:|provider|_CONNECTION=|_STORE=|_DRIVER=|jdbc:|dialect|type:|django_redis|[\"']s3|S3|[\"']sqs|dynamodb|Use(?:Npgsql|MySql|SqlServer)|pyamqp"
)
_READ = words(
    ".py .js .ts .mjs .cjs .go .rb .php .rs .java .kt .cs .ex .exs .prisma .env.example .env.sample "
    ".env.template alembic.ini database.yml storage.yml application.yml application.yaml "
    "application.properties application.conf appsettings.json drizzle.config.ts .tsx settings.toml"
)

# image name in a compose file -> service
IMAGES = {
    "postgres": "postgres",
    "postgis": "postgres",
    "pgvector": "postgres",
    "timescaledb": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "redis": "redis",
    "valkey": "redis",
    "mongo": "mongodb",
    "rabbitmq": "rabbitmq",
    "kafka": "kafka",
    "cp-kafka": "kafka",
    "redpanda": "kafka",
    "elasticsearch": "elasticsearch",
    "opensearch": "opensearch",
    "minio": "s3",
    "localstack": "s3",
    "memcached": "memcached",
    "nats": "nats",
    "server": "",
}


def services_of(folder: Folder, packages: frozenset[str]) -> set[str]:
    """The services of one unit."""
    found = {PACKAGES[name] for name in packages if name in PACKAGES}
    for name in folder.own_files:
        if name.endswith(tuple(_READ)):
            written = folder.source(name)
            source = "" if is_untouched(written) else without_comments(written)
            if _WORDS.search(source):
                found |= {service for service, pattern in _SAYS if re.search(pattern, source)}
    return found


def image_service(service: dict[str, object]) -> str | None:
    """The backing service a compose service is, by its image."""
    image = text(service.get("image")).split("@")[0].rsplit("/", 1)[-1].split(":")[0]
    return IMAGES.get(image) or None


SQL = frozenset({"postgres", "mysql", "mssql"})
